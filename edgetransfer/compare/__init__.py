"""Which backbone transfers best: runs over backbones, data sets and seeds, and what they show."""

from edgetransfer.compare.job import compare

__all__ = ["compare"]
