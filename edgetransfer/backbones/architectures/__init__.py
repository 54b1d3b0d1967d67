"""ImageNet architectures as tables of layers, and the ONNX graphs that weights make of them."""

from edgetransfer.backbones.architectures.building import build, multiply_adds
from edgetransfer.backbones.architectures.catalogue import ARCHITECTURES, architecture
from edgetransfer.backbones.architectures.layers import (
    Architecture,
    Conventions,
    ConvLayer,
    GateLayer,
    NeckLayer,
    NormLayer,
    PoolLayer,
)
from edgetransfer.backbones.architectures.random_weights import random_parameters, synthetic
from edgetransfer.backbones.architectures.small import SMALL, trainable_architecture
from edgetransfer.backbones.architectures.widths import with_widths, without_ones

__all__ = [
    "ARCHITECTURES",
    "SMALL",
    "Architecture",
    "ConvLayer",
    "Conventions",
    "GateLayer",
    "NeckLayer",
    "NormLayer",
    "PoolLayer",
    "architecture",
    "build",
    "multiply_adds",
    "random_parameters",
    "synthetic",
    "trainable_architecture",
    "with_widths",
    "without_ones",
]
