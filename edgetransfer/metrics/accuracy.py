"""Top-1 and mean per-class accuracy."""

from __future__ import annotations

import numpy as np

from edgetransfer.reports.shared import Accuracies
from edgetransfer.types import IntArray


class Accuracy:
    """A confusion matrix that grows batch by batch.

    Parameters
    ----------
    n_classes
        Number of classes K; `confusion` is (K, K) int64, rows are true classes.
    """

    def __init__(self, n_classes: int) -> None:
        self.confusion: IntArray = np.zeros((n_classes, n_classes), np.int64)

    def update(self, labels: IntArray, predicted: IntArray) -> None:
        """Count a batch: true and predicted labels, each (N,) int64."""
        np.add.at(self.confusion, (labels, predicted), 1)

    @property
    def count(self) -> int:
        """How many samples were counted."""
        return int(self.confusion.sum())

    @property
    def top1(self) -> float:
        """The share of samples whose class was predicted, 0 to 1; nan without samples."""
        return float(np.trace(self.confusion) / self.count) if self.count else float("nan")

    @property
    def per_class(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The accuracy on each class, (K,) float64; nan for a class without samples."""
        totals = self.confusion.sum(axis=1)
        with np.errstate(invalid="ignore"):
            result: np.ndarray[tuple[int], np.dtype[np.float64]] = (
                np.diagonal(self.confusion) / totals
            )
        return result

    @property
    def mean_per_class(self) -> float:
        """The mean of the accuracies on the classes that have samples, 0 to 1."""
        present = self.per_class[self.confusion.sum(axis=1) > 0]
        return float(present.mean()) if present.size else float("nan")

    @property
    def shares(self) -> Accuracies:
        """What of these a report has."""
        return {"top1": self.top1, "mean_per_class": self.mean_per_class}


def accuracy_of(labels: IntArray, predicted: IntArray, n_classes: int) -> Accuracy:
    """The accuracy of one batch of predictions."""
    accuracy = Accuracy(n_classes)
    accuracy.update(labels, predicted)
    return accuracy
