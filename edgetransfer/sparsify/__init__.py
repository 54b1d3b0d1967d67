"""Dense backbones made sparse."""

from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.sparsify.job import sparsify

__all__ = ["Sparsification", "sparsify"]
