"""The eigenbasis of the features: one decomposition, and every penalty's answers are sums in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgetransfer.heads.blocks import in_blocks
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments, penalty_unit
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.products import Products
from edgetransfer.heads.row_moments import class_means, is_nothing, mean_one, moments_of
from edgetransfer.types import Float32Array, IntArray

# Numbers above which the basis and the rows in it are in float32: leave-one-out scores are then
# good to 1e-4. Heads do not come from there (see `solution`).
PRECISE = 1 << 21
NOTHING = 1e-12  # of the largest eigenvalue: a direction without any feature in it


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Labelled features in the eigenbasis of their weighted scatter T.

    T = sum_i w_i (x_i - mean)(x_i - mean)^T = V diag(values) V^T, and ``mean`` is weighted too.

    Parameters
    ----------
    values
        (r,) float64, not negative.
    basis
        V, (D, r), orthonormal columns; float64, or float32 where many were decomposed quickly.
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
    basis: FloatArray
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
        precise: bool = False,
    ) -> Spectrum:
        """Decompose (N, D) features; by their D x D scatter, or N x N products if D > N.

        ``weights``, (K,), of the samples of each class; ones if None. ``threads`` take blocks of
        rows, and change no bit. If not ``precise``, the basis is in float32 where there are many.
        """
        n, d = features.shape
        if d <= n:
            quick = not precise and features.size > PRECISE
            moments = moments_of(features, labels, n_classes, weights, threads=threads, quick=quick)
            return cls.of_moments(moments, features, labels, threads=threads, precise=precise)
        counts = np.bincount(labels, minlength=n_classes).astype(np.int64)
        weights = mean_one(weights, counts)
        by_row = weights[labels]
        mean = (by_row @ features) / n
        values, basis = _of_products(features, mean, by_row)
        if is_nothing(float(values.sum()), features, by_row):
            values, basis = np.zeros(1), np.zeros((d, 1))
        kind = _precision(features.shape)
        rows: FloatArray = (features - mean).astype(kind, copy=False) @ basis.astype(kind)
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
    def of_moments(
        cls,
        moments: Moments,
        rows: Float32Array,
        labels: IntArray,
        *,
        threads: int = 1,
        precise: bool = False,
    ) -> Spectrum:
        """Decompose what was summed up; ``rows``, (N, D), are some of those in it.

        If not ``precise``, the basis is in float32 where the rows are many.
        """
        kind = _precision(rows.shape)
        values, basis = _eigenbasis(moments.total, np.float64 if precise else kind)
        turned: FloatArray = np.empty((len(rows), len(values)), kind)
        rotation: FloatArray = basis.astype(kind, copy=False)
        centre: FloatArray = moments.mean.astype(kind)

        def rotate(part: slice) -> None:
            np.matmul(rows[part] - centre, rotation, out=turned[part])

        for _ in in_blocks(rotate, len(rows), threads):
            pass
        weights = moments.weights
        return cls(
            values=values,
            basis=basis,
            mean=moments.mean,
            rows=turned,
            means=(moments.class_means - moments.mean) @ basis * (moments.counts > 0)[:, None],
            labels=labels,
            counts=moments.counts,
            weights=np.ones(len(moments.counts)) if weights is None else weights,
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
        (products,) = self.path([penalty], threads=threads)
        return products

    def path(self, penalties: Sequence[float], *, threads: int = 1) -> list[Products]:
        """The inner products at each of several penalties, in one pass over the rows."""
        n, k, kind = len(self.rows), len(self.means), self.rows.dtype
        inverses = 1 / (self.values + np.array(penalties)[:, None] * self.unit)
        means = [self.means * inverse for inverse in inverses]
        turned: FloatArray = np.concatenate(means).T.astype(kind)
        scales: FloatArray = inverses.T.astype(kind)
        rows_means: FloatArray = np.empty((len(penalties), n, k), kind)
        rows: FloatArray = np.empty((n, len(penalties)), kind)

        def multiply(part: slice) -> None:
            together = self.rows[part] @ turned
            for i, own in enumerate(rows_means):
                own[part] = together[:, i * k : (i + 1) * k]
            np.matmul(np.square(self.rows[part]), scales, out=rows[part])

        for _ in in_blocks(multiply, n, threads):
            pass
        return [
            Products(rows_means=rows_means[i], means=own @ self.means.T, rows=rows[:, i].copy())
            for i, own in enumerate(means)
        ]


def _precision(shape: tuple[int, ...]) -> type[np.float32] | type[np.float64]:
    """That of so many rotated rows."""
    return np.float64 if shape[0] * shape[1] <= PRECISE else np.float32


def _eigenbasis(
    scatter: Float64Array, kind: type[np.float32] | type[np.float64]
) -> tuple[Float64Array, FloatArray]:
    """Eigenvalues, not negative, and eigenvectors."""
    from scipy.linalg import eigh

    values, basis = eigh(
        scatter.astype(kind, order="F"), driver="evd", overwrite_a=True, check_finite=False
    )
    return np.maximum(values.astype(np.float64), 0), basis


def _of_products(
    features: Float32Array, mean: Float64Array, weights: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The same from (N, N) products, without the directions that no row has a part in."""
    centred: Float64Array = (features - mean) * np.sqrt(weights)[:, None]
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = values > NOTHING * max(values[-1], np.finfo(np.float64).tiny)
    values, vectors = values[kept], vectors[:, kept]
    return values, centred.T @ (vectors / np.sqrt(values))
