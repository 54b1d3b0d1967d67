"""Photos with what heads say of them that have not seen them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.data import Sample
from edgetransfer.metrics import Accuracy, accuracy_of
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One split of a data set.

    Parameters
    ----------
    split
        ``train``, ``val`` or ``test``.
    samples
        N photos that could be decoded.
    features
        (N, D) float32, of their eval views.
    probabilities
        (N, K) float, of each class, by a head that was fitted without the photo.
    known
        (N,) bool, whether there was another photo of its class, so that it could be recognised.
    tested
        (N,) bool, which of these count where accuracy is measured: not the copies of others.
    method
        How they were left out, such as ``leave-one-out`` or ``test photos``.
    """

    split: str
    samples: tuple[Sample, ...]
    features: Float32Array
    probabilities: NDArray[np.floating[Any]]
    known: NDArray[np.bool_]
    tested: NDArray[np.bool_]
    method: str

    __repr__ = short_repr

    @property
    def labels(self) -> IntArray:
        """(N,) int64."""
        return np.fromiter((s.label for s in self.samples), np.int64, len(self.samples))

    @property
    def predicted(self) -> IntArray:
        """(N,) int64, the most probable class."""
        best: IntArray = self.probabilities.argmax(axis=1)
        return best

    @property
    def accuracy(self) -> Accuracy:
        """Over the photos that count."""
        labels, predicted = self.labels[self.tested], self.predicted[self.tested]
        return accuracy_of(labels, predicted, self.probabilities.shape[1])


def unseen(
    split: str,
    samples: Sequence[Sample],
    features: Float32Array,
    probabilities: NDArray[np.floating[Any]],
) -> Scored:
    """Photos of their own, which no head has seen."""
    return Scored(
        split=split,
        samples=tuple(samples),
        features=features,
        probabilities=probabilities,
        known=np.ones(len(samples), bool),
        tested=np.ones(len(samples), bool),
        method="validation photos" if split == "val" else "test photos",
    )
