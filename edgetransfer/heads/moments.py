"""Means and scatter of labelled features: what a closed-form head is solved from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """

    counts: IntArray
    class_means: Float64Array
    mean: Float64Array
    total: Float64Array

    @property
    def n(self) -> int:
        """How many samples there are."""
        return int(self.counts.sum())

    @property
    def within(self) -> Float64Array:
        """(D, D) float64 scatter of the samples about the mean of their own class."""
        centred = (self.class_means - self.mean) * np.sqrt(self.counts)[:, None]
        within: Float64Array = self.total - centred.T @ centred
        return within

    def solve(self, scatter: Float64Array, penalty: float, right: Float64Array) -> Float64Array:
        """(scatter + penalty)^-1 right; the penalty in units of the mean of ``total``'s diagonal.

        If rounding leaves the matrix without a Cholesky factor, the penalty is raised until it
        has one, beginning with a billionth of the largest entry.
        """
        from scipy.linalg import cho_factor, cho_solve

        d = len(scatter)
        added = penalty * penalty_unit(float(np.trace(self.total)), d)
        jitter = 1e-9 * float(scatter.diagonal().max(initial=0))
        while True:
            regular = scatter + added * np.eye(d)
            try:
                factor = cho_factor(regular, lower=True, overwrite_a=True, check_finite=False)
            except np.linalg.LinAlgError:
                added = max(10 * added, jitter)
                continue
            solution: Float64Array = cho_solve(factor, right, check_finite=False)
            return solution


def penalty_unit(trace: float, dimension: int) -> float:
    """The mean scatter of a feature; 1 where all rows are equal, as any penalty will do there."""
    return trace / dimension if trace > SCATTERLESS else 1.0
