"""Each photo's nearest ones by the angle between features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray

BLOCK_BYTES = 64 << 20  # of the similarities that are in memory at once
EXACT = 20_000  # rows, above which the search is in fewer dimensions
FEWER = 128  # dimensions


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The nearest other rows of each row, the nearest first.

    Parameters
    ----------
    indices
        (N, k) int64.
    similarities
        (N, k) float32, cosines of centred features, -1 to 1.
    """

    indices: IntArray
    similarities: Float32Array

    __repr__ = short_repr


def nearest(features: Float32Array, k: int) -> Neighbours:
    """The ``k`` nearest others of (N, D) features; fewer where there are fewer.

    Similarities are computed block by block: memory stays bounded, time grows with N².
    """
    rows = directions(features)
    n = len(rows)
    k = max(0, min(k, n - 1))
    indices = np.empty((n, k), np.int64)
    similarities = np.empty((n, k), np.float32)
    step = max(1, BLOCK_BYTES // (4 * max(n, 1)))
    for start in range(0, n if k else 0, step):
        found = rows[start : start + step] @ rows.T
        here = np.arange(len(found))
        found[here, start + here] = -np.inf
        best = np.argpartition(found, n - k, axis=1)[:, n - k :] if k < n else found.argsort(1)
        values = np.take_along_axis(found, best, axis=1)
        # By similarity, equal ones by place: the same for every size of block.
        order = np.lexsort((best, -values), axis=1)
        indices[start : start + step] = np.take_along_axis(best, order, axis=1)
        similarities[start : start + step] = np.take_along_axis(values, order, axis=1)
    return Neighbours(indices=indices, similarities=similarities)


def directions(features: Float32Array) -> Float32Array:
    """Features as (N, d) rows of length 1, seen from their mean.

    Of many rows the angles are approximated by random projection (Johnson & Lindenstrauss,
    "Extensions of Lipschitz mappings into a Hilbert space", 1984), seeded.
    """
    rows = features - features.mean(axis=0) if len(features) else features
    if len(rows) > EXACT and rows.shape[1] > FEWER:
        rng = np.random.default_rng(0)
        rows = rows @ rng.standard_normal((rows.shape[1], FEWER)).astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: Float32Array = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return result
