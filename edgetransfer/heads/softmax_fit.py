"""Minimising the softmax loss in the eigenbasis of the features.

In that basis the curvature of the loss is nearly diagonal: along a direction of variance v it is
about v / K plus the penalty. Unknowns scaled by its inverse root are all of one curvature, and a
plain L-BFGS needs a tenth of the steps that it needs on the features themselves, at every penalty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.heads.loss import FloatArray, residual
from edgetransfer.heads.planes import Float64Array
from edgetransfer.types import IntArray

MEMORY = 10  # pairs that L-BFGS keeps
LINE_SEARCH = 30


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Weights (r, K) and bias (K,) on centred rows in the eigenbasis, both float64."""

    weights: Float64Array
    bias: Float64Array
    iterations: int = 0

    def logits(self, rows: FloatArray) -> FloatArray:
        """(n, r) rows to (n, K)."""
        logits = rows @ self.weights.astype(rows.dtype)
        logits += self.bias.astype(rows.dtype)
        return logits


@dataclass(frozen=True, kw_only=True)
class SoftmaxProblem:
    """`SoftmaxLoss` on (N, r) rows in an eigenbasis.

    Parameters
    ----------
    rows
        (N, r), centred; their dtype is that of the matrix products.
    labels
        (N,) int64.
    variances
        (r,) float64, of the rows' columns.
    n_classes
        K.
    """

    rows: FloatArray
    labels: IntArray
    variances: Float64Array
    n_classes: int

    def minimise(
        self,
        l2: float,
        start: Solution | None,
        *,
        max_iterations: int,
        tolerance: float | None = None,
        gap: float | None = None,
    ) -> Solution:
        """The minimiser at a penalty, from a start or from zero.

        Parameters
        ----------
        tolerance
            Ends when no entry of the gradient by the weights on features can be larger.
        gap
            Ends when the loss is nearer than this share of it to its minimum: that is about half
            the squared length of the gradient, where all curvatures are about 1.
        """
        from scipy.optimize import minimize

        shape = (len(self.variances), self.n_classes)
        scale = 1 / np.sqrt(self.variances / self.n_classes + l2)
        bias_scale = np.sqrt(self.n_classes)
        done = False

        def unpacked(x: Float64Array) -> tuple[Float64Array, Float64Array]:
            return scale[:, None] * x[self.n_classes :].reshape(shape), bias_scale * x[
                : self.n_classes
            ]

        def evaluate(x: Float64Array) -> tuple[float, Float64Array]:
            nonlocal done
            weights, bias = unpacked(x)
            logits = Solution(weights=weights, bias=bias).logits(self.rows)
            value = residual(logits, self.labels) + l2 / 2 * float(np.vdot(weights, weights))
            by_weights = (self.rows.T @ logits).astype(np.float64) + l2 * weights
            by_bias = logits.sum(axis=0, dtype=np.float64)
            gradient = np.concatenate([by_bias * bias_scale, (by_weights * scale[:, None]).ravel()])
            if tolerance is not None:
                longest = np.sqrt(np.einsum("ij,ij->j", by_weights, by_weights).max())
                done = max(longest, np.abs(by_bias).max()) <= tolerance
            if gap is not None:
                done = done or float(gradient @ gradient) / 2 <= gap * value
            return value, gradient

        def check(_x: Float64Array) -> None:
            if done:
                raise StopIteration

        first = np.zeros(self.n_classes + shape[0] * shape[1])
        if start is not None:
            first[: self.n_classes] = start.bias / bias_scale
            first[self.n_classes :] = (start.weights / scale[:, None]).ravel()
        result = minimize(
            evaluate,
            first,
            jac=True,
            method="L-BFGS-B",
            callback=check,
            options={
                "maxiter": max_iterations,
                "maxfun": 2 * max_iterations,
                "maxcor": MEMORY,
                "maxls": LINE_SEARCH,
                "ftol": 0.0,
                "gtol": 0.0,
            },
        )
        weights, bias = unpacked(result.x)
        return Solution(weights=weights, bias=bias, iterations=int(result.nit))
