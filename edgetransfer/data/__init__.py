"""Where samples come from, and how they are split."""

from edgetransfer.data.copies import copies_of
from edgetransfer.data.labels import checked_label
from edgetransfer.data.loading import find_images, load_data, load_labelled, training_part
from edgetransfer.data.samples import DataSplits, Sample, Stored, labels_of, split_off

__all__ = [
    "DataSplits",
    "Sample",
    "Stored",
    "checked_label",
    "copies_of",
    "find_images",
    "labels_of",
    "load_data",
    "load_labelled",
    "split_off",
    "training_part",
]
