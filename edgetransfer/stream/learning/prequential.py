"""Test-then-train accuracy: over the whole stream, over a window, and fading.

Gama, Sebastião and Rodrigues, "On evaluating stream learning algorithms" (Machine Learning 2013).
"""

from __future__ import annotations

from collections import deque
from heapq import nsmallest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.reports.stream import ScoreRecord
from edgetransfer.types import IntArray


class Prequential:
    """Scores predictions that were made before their labels were learned.

    A sample whose class the head did not know yet counts as wrong; its prediction is one of the
    classes known then, or -1 where there was none.

    Parameters
    ----------
    window
        Samples of the sliding accuracy.
    fading
        What a sample's weight is multiplied by with every later one.
    """

    def __init__(self, window: int, fading: float) -> None:
        # Sparse: ten thousand classes have a hundred million cells, and few that are not zero.
        self._times: dict[tuple[int, int], int] = {}  # of (true, predicted)
        self._right: IntArray = np.zeros(0, np.int64)
        self._scored: IntArray = np.zeros(0, np.int64)
        self.unpredicted: IntArray = np.zeros(0, np.int64)
        self._recent: deque[tuple[int, int]] = deque(maxlen=window)
        self._fading = fading
        self._faded: NDArray[np.float64] = np.zeros((2, 0))  # right, all; by true class

    def grow(self, n_classes: int) -> None:
        """Make room for classes."""
        more = n_classes - len(self._scored)
        if more > 0:
            self._right = np.pad(self._right, (0, more))
            self._scored = np.pad(self._scored, (0, more))
            self.unpredicted = np.pad(self.unpredicted, (0, more))
            self._faded = np.pad(self._faded, ((0, 0), (0, more)))

    def update(self, labels: IntArray, predicted: IntArray) -> None:
        """Score (n,) samples in their order; `grow` must have made room for their labels."""
        known = predicted >= 0
        for pair in zip(labels[known].tolist(), predicted[known].tolist(), strict=True):
            self._times[pair] = self._times.get(pair, 0) + 1
        np.add.at(self.unpredicted, labels[~known], 1)
        np.add.at(self._scored, labels, 1)
        np.add.at(self._right, labels, labels == predicted)
        self._recent.extend(zip(labels.tolist(), predicted.tolist(), strict=True))
        self._faded *= self._fading ** len(labels)
        weights = self._fading ** np.arange(len(labels) - 1, -1, -1)
        np.add.at(self._faded[0], labels, weights * (labels == predicted))
        np.add.at(self._faded[1], labels, weights)

    @property
    def confusion(self) -> IntArray:
        """How often each true class, by row, was taken for each class, (K, K)."""
        dense = np.zeros((len(self._scored), len(self._scored)), np.int64)
        for pair, times in self._times.items():
            dense[pair] = times
        return dense

    @property
    def cells(self) -> list[tuple[int, int, int]]:
        """The same where it is not zero: true class, predicted class and how often, in order."""
        return [(a, b, times) for (a, b), times in sorted(self._times.items())]

    @property
    def by_class(self) -> IntArray:
        """Scored samples by true class, (K,)."""
        return self._scored

    @property
    def total(self) -> ScoreRecord:
        """``top1`` and ``mean_per_class`` over all, 0 to 1; None without samples."""
        return _score(self._right, self._scored)

    @property
    def sliding(self) -> ScoreRecord:
        """The same over the last samples alone."""
        right, counts = np.zeros((2, len(self._scored)))
        for label, predicted in self._recent:
            right[label] += label == predicted
            counts[label] += 1
        return _score(right, counts)

    @property
    def fading(self) -> ScoreRecord:
        """The same, with weights that fade."""
        return _score(*self._faded)

    def confused(self, n: int) -> list[tuple[int, int, int]]:
        """The most frequent mistakes: true class, predicted class and how often."""
        wrong = [(-times, a, b) for (a, b), times in self._times.items() if a != b]
        return [(a, b, -times) for times, a, b in nsmallest(n, wrong)]

    def relabel(self, new: list[int]) -> None:
        """Rename class i to ``new[i]``; what was scored of a class at -1 is dropped."""
        kept = [old for old, label in enumerate(new) if label >= 0 and old < len(self._scored)]
        times: dict[tuple[int, int], int] = {}
        for (a, b), count in self._times.items():
            if new[a] >= 0 and new[b] >= 0:
                times[new[a], new[b]] = count
            elif new[a] >= 0:
                # A sample of a class that stays, taken for one that goes, was scored as wrong.
                self.unpredicted[a] += count
        self._times = times
        self.unpredicted = self.unpredicted[kept]
        self._right, self._scored = self._right[kept], self._scored[kept]
        self._faded = np.ascontiguousarray(self._faded[:, kept])
        recent = [(new[a], new[b] if b >= 0 else -1) for a, b in self._recent if new[a] >= 0]
        self._recent = deque(recent, maxlen=self._recent.maxlen)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a checkpoint needs."""
        cells = np.array(self.cells, np.int64).reshape(-1, 3)
        return {
            "cells": cells,
            "unpredicted": self.unpredicted,
            "recent": np.array(self._recent, np.int64).reshape(-1, 2),
            "faded": self._faded,
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        if "confusion" in state:  # dense, of an earlier version
            places = np.argwhere(state["confusion"])
            cells = np.column_stack([places, state["confusion"][tuple(places.T)]])
        else:
            cells = state["cells"]
        self._times = {(a, b): times for a, b, times in cells.tolist()}
        self.unpredicted = state["unpredicted"].copy()
        self._scored = self.unpredicted.copy()
        self._right = np.zeros_like(self._scored)
        for a, b, times in cells.tolist():
            self._scored[a] += times
            self._right[a] += times * (a == b)
        self._recent.clear()
        self._recent.extend((int(a), int(b)) for a, b in state["recent"])
        self._faded = state["faded"].copy()


def _score(right: NDArray[Any], counts: NDArray[Any]) -> ScoreRecord:
    there = counts > 0
    if not there.any():
        return {"top1": None, "mean_per_class": None}
    return {
        "top1": float(right.sum() / counts.sum()),
        "mean_per_class": float((right[there] / counts[there]).mean()),
    }
