"""Choosing some samples of each class."""

from __future__ import annotations

import numpy as np

from edgetransfer.types import IntArray


def stratified_holdout(
    labels: IntArray, fraction: float, seed: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """A mask, (N,) bool, of about ``fraction`` of each class, chosen by the seed.

    A class of two or more gives at least one sample and keeps at least one; a class of one keeps
    it.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held[rng.permutation(members)[:count]] = True
    return held
