"""Photos that are like no other of their class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.findings.neighbours import directions
from edgetransfer.types import Float32Array, IntArray

FEWEST = 5  # photos of a class, below which none stands out
NEIGHBOURS = 3
FAR = 3.5  # of `outlier_scores`: Iglewicz and Hoaglin's bound for an outlier
NORMAL = 1.4826  # times the median deviation is the standard deviation of normal values


def outlier_scores(features: Float32Array, labels: IntArray) -> NDArray[np.floating[Any]]:
    """How far each photo stands out from its class, (N,), 0 where that cannot be told.

    The distance to the third-nearest photo of the class (Ramaswamy, Rastogi & Shim, "Efficient
    algorithms for mining outliers from large data sets", SIGMOD 2000), as a robust z-score within
    the class (Iglewicz & Hoaglin, "How to detect and handle outliers", 1993): deviations from the
    median over the median of these. Above `FAR` a photo is an outlier.
    """
    rows = directions(features)
    scores = np.zeros(len(rows))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < FEWEST:
            continue
        distances = _third_nearest(rows[members])
        deviations = distances - np.median(distances)
        spread = NORMAL * float(np.median(np.abs(deviations)))
        if spread > 0:
            scores[members] = deviations / spread
    return scores


def _third_nearest(rows: Float32Array) -> NDArray[np.floating[Any]]:
    """The distance of each of (m, d) rows to its third-nearest other, block by block."""
    result = np.empty(len(rows))
    for start in range(0, len(rows), 1024):
        block = 1 - rows[start : start + 1024] @ rows.T
        here = np.arange(len(block))
        block[here, start + here] = np.inf
        result[start : start + 1024] = np.partition(block, NEIGHBOURS - 1, axis=1)[
            :, NEIGHBOURS - 1
        ]
    return result
