"""Means and scatter of labelled features: what a closed-form head is solved from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.types import IntArray

SCATTERLESS = 1e-200


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Means and scatter of labelled features, in real numbers.

    Parameters
    ----------
    counts
        (K,) int64 samples of each class.
    class_means
        (K, D) float64; zeros where a class has no sample.
    mean
        (D,) float64 over all samples.
    total
        (D, D) float64 scatter about ``mean``: the sum of (x - mean)(x - mean)^T.
    weights
        (K,) float64, what a sample of each class weighs in ``mean`` and ``total``; ones if None.
        Their mean over the samples is 1.
    """

    counts: IntArray
    class_means: Float64Array
    mean: Float64Array
    total: Float64Array
    weights: Float64Array | None = None

    @property
    def n(self) -> int:
        """How many samples there are."""
        return int(self.counts.sum())

    @property
    def totals(self) -> Float64Array:
        """(K,), what the samples of each class weigh together."""
        counts: Float64Array = self.counts.astype(np.float64)
        return counts if self.weights is None else counts * self.weights

    @property
    def within(self) -> Float64Array:
        """(D, D) float64 scatter of the samples about the mean of their own class."""
        centred = (self.class_means - self.mean) * np.sqrt(self.totals)[:, None]
        within: Float64Array = self.total - centred.T @ centred
        return within

    @property
    def unit(self) -> float:
        """What penalties are multiples of: the mean of ``total``'s diagonal."""
        return penalty_unit(float(np.trace(self.total)), len(self.total))

    def factored(
        self, scatter: Float64Array, penalty: float, *, precise: bool = True
    ) -> ScatterFactor:
        """Scatter + penalty, ready to solve; in float32, at half of the time, if not precise.

        If rounding leaves the matrix without a Cholesky factor, the penalty is raised until it
        has one, beginning with a billionth of the largest entry.
        """
        from scipy.linalg import cho_factor

        added = penalty * self.unit
        jitter = 1e-9 * float(scatter.diagonal().max(initial=0))
        while True:
            regular = scatter.astype(np.float64 if precise else np.float32, order="F")
            diagonal = np.arange(len(regular))
            regular[diagonal, diagonal] += added
            try:
                lower, _ = cho_factor(regular, lower=True, overwrite_a=True, check_finite=False)
            except np.linalg.LinAlgError:
                added = max(10 * added, jitter)
                continue
            return ScatterFactor(lower=lower)

    def solve(self, scatter: Float64Array, penalty: float, right: Float64Array) -> FloatArray:
        """(scatter + penalty)^-1 right; see `factored`."""
        return self.factored(scatter, penalty).solve(right)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScatterFactor:
    """The Cholesky factor L of a regularised scatter A = L L^T.

    Parameters
    ----------
    lower
        (D, D); what lies above the diagonal is not of it.
    """

    lower: FloatArray

    def solve(self, right: Float64Array) -> FloatArray:
        """A^-1 right, of (D, n), in the precision of the factor."""
        from scipy.linalg import cho_solve

        solution: FloatArray = cho_solve(
            (self.lower, True), right.astype(self.lower.dtype, copy=False), check_finite=False
        )
        return solution

    def halfway(self, right: FloatArray) -> FloatArray:
        """L^-1 right, of (D, n): products of two such are products by A^-1."""
        from scipy.linalg import solve_triangular

        half: FloatArray = solve_triangular(
            self.lower, right.astype(self.lower.dtype), lower=True, check_finite=False
        )
        return half


def penalty_unit(trace: float, dimension: int) -> float:
    """The mean scatter of a feature; 1 where all rows are equal, as any penalty will do there."""
    return trace / dimension if trace > SCATTERLESS else 1.0
