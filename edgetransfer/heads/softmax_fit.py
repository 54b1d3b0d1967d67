"""Minimising the softmax loss in the eigenbasis of the features.

In that basis the curvature of the loss is nearly diagonal: along a direction of variance v it is
about v / K plus the penalty. Unknowns scaled by its inverse root are all of one curvature, and a
plain L-BFGS needs a tenth of the steps that it needs on the features themselves, at every penalty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.heads.lbfgs_steps import minimised
from edgetransfer.heads.loss import FloatArray, residual
from edgetransfer.heads.planes import Float64Array
from edgetransfer.types import IntArray


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Weights (r, K) and bias (K,) on centred rows in the eigenbasis, both float64.

    ``finished`` says whether they are as near to the minimum as was asked for.
    """

    weights: Float64Array
    bias: Float64Array
    iterations: int = 0
    finished: bool = False

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
        kind, k = self.rows.dtype, self.n_classes
        scale = 1 / np.sqrt(self.variances / k + l2)
        bias_scale = np.sqrt(k)
        # The last unknowns are the bias, as if each row had one more number.
        scaled: FloatArray = np.empty((len(self.rows), len(scale) + 1), kind)
        np.multiply(self.rows, scale.astype(kind), out=scaled[:, :-1])
        scaled[:, -1] = bias_scale
        shape = (len(scale) + 1, k)
        penalty = np.append(l2 * scale**2, 0.0).astype(kind)[:, None]

        def evaluate(x: FloatArray) -> tuple[float, FloatArray]:
            unknowns = x.reshape(shape)
            logits = scaled @ unknowns
            value = residual(logits, self.labels)
            gradient = scaled.T @ logits
            penalised = penalty * unknowns
            gradient += penalised
            return value + float(np.vdot(unknowns, penalised)) / 2, gradient.ravel()

        def finished(_x: FloatArray, value: float, gradient: FloatArray) -> bool:
            if tolerance is not None:
                parts = gradient.reshape(shape)
                by_weights = parts[:-1] / scale[:, None]
                longest = np.sqrt(np.einsum("ij,ij->j", by_weights, by_weights).max())
                if max(longest, np.abs(parts[-1]).max() / bias_scale) <= tolerance:
                    return True
            return gap is not None and float(np.dot(gradient, gradient)) / 2 <= gap * value

        first: FloatArray = np.zeros(shape, kind)
        if start is not None:
            # A start may be of the directions of the most scatter alone, which are the last.
            known = len(start.weights)
            first[-1 - known : -1] = start.weights / scale[-known:, None]
            first[-1] = start.bias / bias_scale
        x, iterations, reached = minimised(
            evaluate, first.ravel(), max_iterations=max_iterations, finished=finished
        )
        found = x.reshape(shape).astype(np.float64)
        return Solution(
            weights=scale[:, None] * found[:-1],
            bias=bias_scale * found[-1],
            iterations=iterations,
            finished=reached,
        )
