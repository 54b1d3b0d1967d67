"""The eigenbasis of the features: one decomposition, and every penalty's answers are sums in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
    ) -> Spectrum:
        """Decompose (N, D) features; by their D x D scatter, or N x N products if D > N.

        ``weights``, (K,), of the samples of each class; ones if None.
        """
        n, d = features.shape
        counts = np.bincount(labels, minlength=n_classes).astype(np.int64)
        if weights is None:
            weights = np.ones(n_classes)
        weights = weights * (n / (weights @ counts))
        by_row = weights[labels]
        mean = (by_row @ features) / n
        values, basis = (_of_products if d > n else _of_scatter)(features, mean, by_row)
        if values.sum() <= ALL_EQUAL * (by_row @ np.einsum("ij,ij->i", features, features)):
            values, basis = np.zeros(1), np.zeros((d, 1))
        rows: FloatArray = np.empty((n, len(values)), _precision(features.shape))
        rotation, centre = basis.astype(rows.dtype), mean.astype(rows.dtype)
        for first in range(0, n, ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            np.matmul(features[part] - centre, rotation, out=rows[part])
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

    @cached_property
    def squares(self) -> FloatArray:
        """(N, r), of ``rows``."""
        return np.square(self.rows)

    @property
    def unit(self) -> float:
        """What penalties are multiples of: the mean scatter of a feature, trace(T) / D."""
        return penalty_unit(float(self.values.sum()), len(self.basis))

    def products(self, penalty: float) -> Products:
        """The inner products at ``penalty`` units."""
        inverse = 1 / (self.values + penalty * self.unit)
        means = self.means * inverse
        kind = self.rows.dtype
        return Products(
            rows_means=self.rows @ means.T.astype(kind),
            means=means @ self.means.T,
            rows=self.squares @ inverse.astype(kind),
        )


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


def _of_scatter(
    features: Float32Array, mean: Float64Array, weights: Float64Array
) -> tuple[Float64Array, Float64Array]:
    d = features.shape[1]
    scatter: Float64Array = np.zeros((d, d))
    for first in range(0, len(features), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        centred = (features[part] - mean) * np.sqrt(weights[part])[:, None]
        scatter += centred.T @ centred
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
