"""Backbone and head as one ONNX file that says all of itself: written, and read back."""

from edgetransfer.merging.graph import merged
from edgetransfer.merging.reading import MergedFile, is_merged, read_merged

__all__ = ["MergedFile", "is_merged", "merged", "read_merged"]
