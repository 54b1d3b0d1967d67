"""Which samples are left out together, where leaving out one at a time would take too long."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.alike import first_alike
from edgetransfer.types import Float32Array, IntArray

FOLDS = 5


def folds_of(features: Float32Array, labels: IntArray, seed: int) -> IntArray:
    """(N,), which fold leaves each sample out; -1 for one that is never left out.

    Folds take the samples of a class in turns, in an order drawn by the seed. Samples that are
    alike are in one fold; the only distinct sample of a class is never left out.
    """
    return folds_of_distinct(first_alike(features, labels), labels, seed)


def folds_of_distinct(first: IntArray, labels: IntArray, seed: int) -> IntArray:
    """As `folds_of`, where ``first``, (N,), is the sample that each is alike to."""
    rng = np.random.default_rng(seed)
    folds = np.full(len(labels), -1, np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & (first == np.arange(len(labels))))
        if len(members) > 1:
            turns = (np.arange(len(members)) + rng.integers(FOLDS)) % FOLDS
            folds[rng.permutation(members)] = turns
    return folds[first]
