"""ONNX files as backbones: opened, cut at their features, measured."""

from edgetransfer.backbones.backbone import Backbone
from edgetransfer.backbones.card import BackboneCard
from edgetransfer.backbones.opening import open_with, warn_of_logits
from edgetransfer.graphs.sparsity import LayerSparsity, SparsityReport

__all__ = [
    "Backbone",
    "BackboneCard",
    "LayerSparsity",
    "SparsityReport",
    "open_with",
    "warn_of_logits",
]
