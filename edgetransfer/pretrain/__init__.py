"""Sparse training: from random weights, or from a dense network, with or without labels.

One trainer, and a policy a method: when masks change, what the gradient sees, what happens to
momentum. torch is loaded when a training starts, not before.
"""

from edgetransfer.pretrain.entry import pretrain
from edgetransfer.settings.pretrain import Pretraining

__all__ = ["Pretraining", "pretrain"]
