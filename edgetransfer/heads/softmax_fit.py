"""Minimising the softmax loss in the eigenbasis of the features.

In that basis the curvature of the loss is nearly diagonal: along a direction of variance v it is
about v / K plus the penalty. Unknowns scaled by its inverse root are all of one curvature, and a
plain L-BFGS needs a tenth of the steps that it needs on the features themselves, at every penalty.
Where samples are recognised already less than 1 / K is left, p (1 - p) on the mean over samples and
classes, so that a fit which ends what others began is scaled by that. All classes are scaled alike:
what adds the same to each has no curvature but the penalty, and only so do steps keep clear of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgetransfer.heads.halves import Halves
from edgetransfer.heads.lbfgs_steps import Pair, minimised
from edgetransfer.heads.loss import FloatArray, residual
from edgetransfer.heads.planes import Float64Array
from edgetransfer.types import IntArray

LEAST_LEFT = 1e-3  # of 1 / K: what is left of the curvature, however sure a start is


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Weights (r, K) and bias (K,) on centred rows in the eigenbasis, both float64.

    ``finished`` says whether they are as near to the minimum as was asked for; ``curvature`` is
    what was learned of it on the way.
    """

    weights: Float64Array
    bias: Float64Array
    iterations: int = 0
    finished: bool = False
    curvature: Curvature | None = None

    def logits(self, rows: FloatArray) -> FloatArray:
        """(n, r) rows to (n, K)."""
        logits = rows @ self.weights.astype(rows.dtype)
        logits += self.bias.astype(rows.dtype)
        return logits


@dataclass(frozen=True, kw_only=True, eq=False)
class Curvature:
    """Pairs of steps and changes of the gradient, of unknowns that are weights over ``scale``.

    Parameters
    ----------
    pairs
        Oldest first.
    scale
        (r + 1, 1); the last is the bias's.
    l2
        Of the loss that they were learned on.
    """

    pairs: Sequence[Pair]
    scale: FloatArray
    l2: float

    def at(self, l2: float, scale: FloatArray) -> list[Pair]:
        """The same of the loss with another penalty, exactly: that adds to each change its own."""
        shape = (len(scale), -1)
        moved = []
        for pair in self.pairs:
            step = pair.step.reshape(shape) * self.scale
            change = pair.change.reshape(shape) / self.scale
            change[:-1] += step.dtype.type(l2 - self.l2) * step[:-1]
            scaled = Pair(step=(step / scale).ravel(), change=(change * scale).ravel())
            if scaled.curvature > 0:
                moved.append(scaled)
        return moved


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
    threads
        Take halves of the rows, and change no bit.
    """

    rows: FloatArray
    labels: IntArray
    variances: Float64Array
    n_classes: int
    threads: int = 1

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
        shape = (self.rows.shape[1] + 1, k)
        first: FloatArray = np.zeros(shape, kind)
        if start is not None:
            # A start may be of the directions of the most scatter alone, which are the last.
            first[-1 - len(start.weights) : -1] = start.weights
            first[-1] = start.bias
        scale = self._scale(l2, None if gap is not None else start).astype(kind)
        first /= scale
        sums = _Sums(self.rows, self.labels, k, self.threads)

        def evaluate(x: FloatArray) -> tuple[float, FloatArray]:
            unknowns = x.reshape(shape) * scale
            value, gradient = sums.at(unknowns)
            penalised = kind.type(l2) * unknowns[:-1]
            gradient[:-1] += penalised
            gradient *= scale
            return value + float(np.vdot(unknowns[:-1], penalised)) / 2, gradient.ravel()

        def finished(_x: FloatArray, value: float, gradient: FloatArray) -> bool:
            if tolerance is not None:
                parts = gradient.reshape(shape) / scale
                longest = np.sqrt(np.einsum("ij,ij->j", parts[:-1], parts[:-1]).max())
                if max(longest, np.abs(parts[-1]).max()) <= tolerance:
                    return True
            return gap is not None and float(np.dot(gradient, gradient)) / 2 <= gap * value

        known = None if start is None else start.curvature
        minimum = minimised(
            evaluate,
            first.ravel(),
            max_iterations=max_iterations,
            finished=finished,
            pairs=() if known is None or len(known.scale) != len(scale) else known.at(l2, scale),
        )
        found = (minimum.at.reshape(shape) * scale).astype(np.float64)
        return Solution(
            weights=found[:-1],
            bias=found[-1],
            iterations=minimum.iterations,
            finished=minimum.finished,
            curvature=Curvature(pairs=minimum.pairs, scale=scale, l2=l2),
        )

    def _scale(self, l2: float, start: Solution | None) -> Float64Array:
        """(r + 1, 1), the inverse roots of the curvatures; the last is the bias's."""
        left = 1 / self.n_classes
        if start is not None and len(start.weights) == self.rows.shape[1]:
            logits = start.logits(self.rows)
            residual(logits, self.labels)
            logits *= logits.dtype.type(len(self.labels))
            logits[np.arange(len(self.labels)), self.labels] += 1
            squares = float(np.vdot(logits, logits)) / len(logits)
            left *= max(1 - squares, LEAST_LEFT)
        curvatures = np.append(left * self.variances + l2, left)
        scale: Float64Array = 1 / np.sqrt(curvatures)[:, None]
        return scale


class _Sums:
    """Mean cross-entropy and its gradient, of two halves of the rows."""

    def __init__(self, rows: FloatArray, labels: IntArray, n_classes: int, threads: int) -> None:
        middle = len(rows) // 2
        self._parts = [slice(0, middle), slice(middle, len(rows))]
        self._rows, self._labels, self._n_classes = rows, labels, n_classes
        self._halves = Halves(threads)

    def at(self, unknowns: FloatArray) -> tuple[float, FloatArray]:
        """At (r + 1, K) weights and bias: the value, and (r + 1, K)."""
        values = [0.0, 0.0]
        gradients: list[FloatArray] = [np.zeros_like(unknowns), np.zeros_like(unknowns)]

        def half(which: int) -> None:
            part = self._parts[which]
            rows, share = self._rows[part], (part.stop - part.start) / len(self._rows)
            if not share:
                return
            logits = rows @ unknowns[:-1]
            logits += unknowns[-1]
            values[which] = residual(logits, self._labels[part]) * share
            logits *= logits.dtype.type(share)
            np.matmul(rows.T, logits, out=gradients[which][:-1])
            gradients[which][-1] = logits.sum(axis=0)

        self._halves.run(half)
        gradients[0] += gradients[1]
        return values[0] + values[1], gradients[0]
