"""Where samples come from, and how they are split."""

from edgetransfer.data.loading import find_images, load_data, load_labelled
from edgetransfer.data.samples import DataSplits, Sample, labels_of, split_off

__all__ = [
    "DataSplits",
    "Sample",
    "find_images",
    "labels_of",
    "load_data",
    "load_labelled",
    "split_off",
]
