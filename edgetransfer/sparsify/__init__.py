"""Dense backbones made sparse."""

from edgetransfer.sparsify.job import sparsify
from edgetransfer.sparsify.settings import Sparsification

__all__ = ["Sparsification", "sparsify"]
