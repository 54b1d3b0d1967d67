"""Moments of rows that are all there: of weighted samples, in sums that threads do not change."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.blocks import in_blocks
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.planes import Float64Array
from edgetransfer.types import Float32Array, IntArray

ALL_EQUAL = 1e-24  # of the sum of squares: scatter that only rounding has made
# Numbers above which the scatter of a block of rows is summed in float32, and only these sums in
# float64: what that loses, 1e-6 of the largest eigenvalue, is below the least penalty.
MANY = 1 << 26


def mean_one(weights: Float64Array | None, counts: IntArray) -> Float64Array:
    """(K,) weights whose mean over the samples is 1; ones if None."""
    if weights is None:
        return np.ones(len(counts))
    scaled: Float64Array = weights * (counts.sum() / (weights @ counts))
    return scaled


def is_nothing(trace: float, features: Float32Array, weights: Float64Array) -> bool:
    """Whether scatter of so much is but what rounding makes of equal features."""
    return bool(trace <= ALL_EQUAL * (weights @ np.einsum("ij,ij->i", features, features)))


def moments_of(
    features: Float32Array,
    labels: IntArray,
    n_classes: int,
    weights: Float64Array | None = None,
    *,
    threads: int = 1,
    quick: bool = False,
) -> Moments:
    """Means and scatter of (N, D) features; ``weights`` and ``threads`` as of `Spectrum.of`.

    If ``quick``, blocks are summed in float32 however few there are.
    """
    n, d = features.shape
    counts = np.bincount(labels, minlength=n_classes).astype(np.int64)
    by_row = mean_one(weights, counts)[labels]
    mean: Float64Array = np.zeros(d)
    for added in in_blocks(lambda part: by_row[part] @ features[part], n, threads):
        mean += added
    mean /= n
    total: Float64Array = np.zeros((d, d))
    kind = np.float32 if quick or features.size > MANY else np.float64
    centre: FloatArray = mean.astype(kind)
    roots = np.sqrt(by_row, dtype=kind)[:, None]

    def scatter(part: slice) -> FloatArray:
        centred = (features[part] - centre) * roots[part]
        product: FloatArray = centred.T @ centred
        return product

    for product in in_blocks(scatter, n, threads):
        total += product
    if is_nothing(float(np.trace(total)), features, by_row):
        total[:] = 0
    return Moments(
        counts=counts,
        class_means=class_means(features, labels, counts),
        mean=mean,
        total=total,
        weights=mean_one(weights, counts),
    )


def class_means(rows: FloatArray, labels: IntArray, counts: IntArray) -> Float64Array:
    """(K, r) float64 means of (N, r) rows by class; zeros for a class without rows."""
    means: Float64Array = np.zeros((len(counts), rows.shape[1]))
    rows = rows[np.argsort(labels, kind="stable")]
    ends = np.cumsum(counts)
    for label in np.flatnonzero(counts):
        own = rows[ends[label] - counts[label] : ends[label]]
        means[label] = own.sum(axis=0, dtype=np.float64) / counts[label]
    return means


def with_more(moments: Moments, features: Float32Array, labels: IntArray) -> Moments:
    """Moments of samples that all weigh 1, and of (m, D) more."""
    added = np.bincount(labels, minlength=len(moments.counts)).astype(np.int64)
    counts = moments.counts + added
    away: Float64Array = features - moments.mean
    shift = away.sum(axis=0) / counts.sum()
    sums = class_means(features, labels, added) * added[:, None]
    sums += moments.class_means * moments.counts[:, None]
    return Moments(
        counts=counts,
        class_means=sums / np.maximum(counts, 1)[:, None],
        mean=moments.mean + shift,
        total=moments.total + away.T @ away - counts.sum() * np.outer(shift, shift),
    )
