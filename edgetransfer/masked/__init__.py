"""Layers at fixed masks, forward and backward, without torch: a zero weight is no work.

Maps lie as in the sparse engine, (blocks, H, W, channels, 16): sixteen images a block.
"""

from edgetransfer.masked.convolution import MaskedConvolution
from edgetransfer.masked.native import LANES, TrainingThreads
from edgetransfer.masked.taps import Window

__all__ = ["LANES", "MaskedConvolution", "TrainingThreads", "Window"]
