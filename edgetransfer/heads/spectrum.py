"""The eigenbasis of the features: one decomposition, and every penalty's answers are sums in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments, penalty_unit
from edgetransfer.heads.planes import Float64Array
from edgetransfer.types import Float32Array, IntArray

# Numbers above which rows are rotated in float32: leave-one-out scores are then good to 1e-4,
# the heads stay in float64.
PRECISE = 1 << 21
NOTHING = 1e-12  # of the largest eigenvalue: a direction without any feature in it
ALL_EQUAL = 1e-24  # of the sum of squares: scatter that only rounding has made
ROWS_AT_ONCE = 4096
# Numbers above which the scatter of so many rows at once is summed in float32, and only these sums
# in float64: what that loses, 1e-6 of the largest eigenvalue, is below the least penalty.
MANY = 1 << 26

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Products:
    """Inner products at one penalty: <a, b> = (a - mean)^T (T + penalty)^-1 (b - mean).

    Parameters
    ----------
    rows_means
        (N, K), of each row and each class mean.
    means
        (K, K) float64, of the class means.
    rows
        (N,), of each row with itself.
    """

    rows_means: FloatArray
    means: Float64Array
    rows: FloatArray


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Labelled features in the eigenbasis of their weighted scatter T.

    T = sum_i w_i (x_i - mean)(x_i - mean)^T = V diag(values) V^T, and ``mean`` is weighted too.

    Parameters
    ----------
    values
        (r,) float64, not negative.
    basis
        V, (D, r) float64, orthonormal columns.
    mean
        (D,) float64.
    rows
        (N, r), (x - mean) V, of all samples or of some; float64 or, if there are many, float32.
    means
        (K, r) float64, the class means in the same form; a class mean is not weighted, as all
        samples of a class weigh the same.
    labels
        (N,) int64.
    counts
        (K,) int64, of all samples.
    weights
        (K,) float64, what a sample of each class weighs; mean 1 over the samples.
    """

    values: Float64Array
    basis: Float64Array
    mean: Float64Array
    rows: FloatArray
    means: Float64Array
    labels: IntArray
    counts: IntArray
    weights: Float64Array

    @classmethod
    def of(
        cls,
        features: Float32Array,
        labels: IntArray,
        n_classes: int,
        weights: Float64Array | None = None,
        *,
        threads: int = 1,
    ) -> Spectrum:
        """Decompose (N, D) features; by their D x D scatter, or N x N products if D > N.

        ``weights``, (K,), of the samples of each class; ones if None. ``threads`` take blocks of
        rows, and change no bit.
        """
        n, d = features.shape
        counts = np.bincount(labels, minlength=n_classes).astype(np.int64)
        if weights is None:
            weights = np.ones(n_classes)
        weights = weights * (n / (weights @ counts))
        by_row = weights[labels]
        mean = (by_row @ features) / n
        if d > n:
            values, basis = _of_products(features, mean, by_row)
        else:
            values, basis = _of_scatter(features, mean, by_row, threads)
        if values.sum() <= ALL_EQUAL * (by_row @ np.einsum("ij,ij->i", features, features)):
            values, basis = np.zeros(1), np.zeros((d, 1))
        rows: FloatArray = np.empty((n, len(values)), _precision(features.shape))
        rotation, centre = basis.astype(rows.dtype), mean.astype(rows.dtype)

        def rotate(part: slice) -> None:
            np.matmul(features[part] - centre, rotation, out=rows[part])

        for _ in in_blocks(rotate, n, threads):
            pass
        return cls(
            values=values,
            basis=basis,
            mean=mean,
            rows=rows,
            means=class_means(rows, labels, counts),
            labels=labels,
            counts=counts,
            weights=weights,
        )

    @classmethod
    def of_moments(cls, moments: Moments, rows: Float32Array, labels: IntArray) -> Spectrum:
        """Decompose what was summed up; ``rows``, (N, D), are some of those in it."""
        values, basis = np.linalg.eigh(moments.total)
        kind = _precision(rows.shape)
        return cls(
            values=np.maximum(values, 0),
            basis=basis,
            mean=moments.mean,
            rows=(rows - moments.mean).astype(kind, copy=False) @ basis.astype(kind),
            means=(moments.class_means - moments.mean) @ basis,
            labels=labels,
            counts=moments.counts,
            weights=np.ones(len(moments.counts)),
        )

    def exact_rows(self, features: Float32Array) -> Float64Array:
        """The rows of (N, D) features in float64."""
        return (features - self.mean) @ self.basis

    def every(self, step: int) -> Spectrum:
        """The same with each ``step``-th row alone."""
        return replace(self, rows=self.rows[::step], labels=self.labels[::step])

    @property
    def totals(self) -> Float64Array:
        """(K,), what the samples of each class weigh together."""
        totals: Float64Array = self.weights * self.counts
        return totals

    @property
    def unit(self) -> float:
        """What penalties are multiples of: the mean scatter of a feature, trace(T) / D."""
        return penalty_unit(float(self.values.sum()), len(self.basis))

    def products(self, penalty: float, *, threads: int = 1) -> Products:
        """The inner products at ``penalty`` units."""
        inverse = 1 / (self.values + penalty * self.unit)
        means = self.means * inverse
        n, kind = len(self.rows), self.rows.dtype
        turned, scale = means.T.astype(kind), inverse.astype(kind)
        rows_means: FloatArray = np.empty((n, len(means)), kind)
        rows: FloatArray = np.empty(n, kind)

        def multiply(part: slice) -> None:
            np.matmul(self.rows[part], turned, out=rows_means[part])
            rows[part] = np.square(self.rows[part]) @ scale

        for _ in in_blocks(multiply, n, threads):
            pass
        return Products(rows_means=rows_means, means=means @ self.means.T, rows=rows)


def _precision(shape: tuple[int, ...]) -> type[np.float32] | type[np.float64]:
    """That of so many rotated rows."""
    return np.float64 if shape[0] * shape[1] <= PRECISE else np.float32


def class_means(rows: FloatArray, labels: IntArray, counts: IntArray) -> Float64Array:
    """(K, r) float64 means of (N, r) rows by class; zeros for a class without rows."""
    means: Float64Array = np.zeros((len(counts), rows.shape[1]))
    order = np.argsort(labels, kind="stable")
    present = np.flatnonzero(counts)
    firsts = np.concatenate([[0], np.cumsum(counts[present])[:-1]]).astype(np.int64)
    means[present] = np.add.reduceat(rows[order], firsts, axis=0, dtype=np.float64)
    means[present] /= counts[present][:, None]
    return means


def in_blocks(work: Callable[[slice], T], n: int, threads: int) -> Iterator[T]:
    """What ``work`` makes of each block of n rows, in order; in so many threads.

    At most two blocks a thread are done and not yet asked for.
    """
    parts = [slice(first, first + ROWS_AT_ONCE) for first in range(0, n, ROWS_AT_ONCE)]
    if threads < 2 or len(parts) < 2:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(parts), 2 * threads):
            yield from pool.map(work, parts[first : first + 2 * threads])


def _of_scatter(
    features: Float32Array, mean: Float64Array, weights: Float64Array, threads: int
) -> tuple[Float64Array, Float64Array]:
    d = features.shape[1]
    scatter: Float64Array = np.zeros((d, d))
    kind = np.float32 if features.size > MANY else np.float64

    def of(part: slice) -> FloatArray:
        centred = (features[part] - mean.astype(kind)) * np.sqrt(weights[part], dtype=kind)[:, None]
        product: FloatArray = centred.T @ centred
        return product

    for product in in_blocks(of, len(features), threads):
        scatter += product
    values, basis = np.linalg.eigh(scatter)
    return np.maximum(values, 0), basis


def _of_products(
    features: Float32Array, mean: Float64Array, weights: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The same from (N, N) products, without the directions that no row has a part in."""
    centred: Float64Array = (features - mean) * np.sqrt(weights)[:, None]
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = values > NOTHING * max(values[-1], np.finfo(np.float64).tiny)
    values, vectors = values[kept], vectors[:, kept]
    return values, centred.T @ (vectors / np.sqrt(values))
