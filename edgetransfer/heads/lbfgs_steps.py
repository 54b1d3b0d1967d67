"""Limited-memory BFGS for unknowns of about one curvature, in the precision of its arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgetransfer.heads.loss import FloatArray

MEMORY = 10  # pairs of steps and changes of the gradient
ENOUGH = 1e-4  # of the decrease that the slope promises (Armijo)
FLATTER = 0.9  # of the slope, what may be left of it (Wolfe)
TRIALS = 20  # of one line search
ROUNDING = 4  # units in the last place of a value, by which it may seem to grow

Evaluate = Callable[[FloatArray], tuple[float, FloatArray]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A step, (n,), and how it changed the gradient, (n,); their product is above zero."""

    step: FloatArray
    change: FloatArray

    @property
    def curvature(self) -> float:
        """Along the step, times the square of its length."""
        return float(np.dot(self.step, self.change))


@dataclass(frozen=True, kw_only=True, eq=False)
class Minimum:
    """What was found.

    Parameters
    ----------
    at
        (n,), where.
    iterations
        How many it took.
    finished
        Whether it will do.
    pairs
        The last ones, oldest first: what is known of the curvature there.
    """

    at: FloatArray
    iterations: int
    finished: bool
    pairs: Sequence[Pair]


def minimised(
    evaluate: Evaluate,
    first: FloatArray,
    *,
    max_iterations: int,
    finished: Callable[[FloatArray, float, FloatArray], bool],
    pairs: Sequence[Pair] = (),
) -> Minimum:
    """The minimiser of a convex function.

    Nocedal & Wright, "Numerical optimization" (2006), algorithm 7.5. Ends where no step makes the
    value smaller, too.

    Parameters
    ----------
    evaluate
        Value and gradient at (n,) unknowns.
    first
        (n,) unknowns to begin from.
    finished
        Of unknowns, value and gradient, whether they will do.
    pairs
        What is known of the curvature to begin with, oldest first.
    """
    at = first
    value, gradient = evaluate(at)
    kept = [(pair, pair.curvature) for pair in pairs]
    for iteration in range(max_iterations):
        if finished(at, value, gradient):
            return _found(at, iteration, True, kept)
        direction = _direction(gradient, kept)
        # The first step is short: beyond it little is known of the curvature.
        length = 1.0 if kept else min(1.0, 1 / float(np.sqrt(np.dot(gradient, gradient))))
        found = _along(evaluate, at, value, gradient, direction, length)
        if found is None:
            return _found(at, iteration, False, kept)
        length, then, below, slope = found
        direction *= direction.dtype.type(length)
        pair = Pair(step=direction, change=slope - gradient)
        curvature = pair.curvature
        if curvature > 0:
            kept = [*kept[-MEMORY + 1 :], (pair, curvature)]
        at, value, gradient = then, below, slope
    return _found(at, max_iterations, finished(at, value, gradient), kept)


def _found(
    at: FloatArray, iterations: int, finished: bool, kept: Sequence[tuple[Pair, float]]
) -> Minimum:
    pairs = [pair for pair, _ in kept]
    return Minimum(at=at, iterations=iterations, finished=finished, pairs=pairs)


def _direction(gradient: FloatArray, kept: Sequence[tuple[Pair, float]]) -> FloatArray:
    direction = -gradient
    kind = direction.dtype.type
    shares = []
    for pair, curvature in reversed(kept):
        shares.append(float(np.dot(pair.step, direction)) / curvature)
        direction -= kind(shares[-1]) * pair.change
    if kept:
        last, curvature = kept[-1]
        direction *= kind(curvature / float(np.dot(last.change, last.change)))
    for (pair, curvature), share in zip(kept, reversed(shares), strict=True):
        back = float(np.dot(pair.change, direction)) / curvature
        direction += kind(share - back) * pair.step
    return direction


def _along(
    evaluate: Evaluate,
    at: FloatArray,
    value: float,
    gradient: FloatArray,
    direction: FloatArray,
    length: float,
) -> tuple[float, FloatArray, float, FloatArray] | None:
    """A step that meets the weak Wolfe conditions: length, unknowns, value and gradient there."""
    slope = float(np.dot(gradient, direction))
    if not slope < 0:
        return None
    low, high = 0.0, np.inf
    doubt = ROUNDING * float(np.finfo(at.dtype).eps) * abs(value)
    best = None
    for _ in range(TRIALS):
        there = at + at.dtype.type(length) * direction
        found, steepness = evaluate(there)
        if not found <= value + ENOUGH * length * slope + doubt:
            high = length
        else:
            best = length, there, found, steepness
            if float(np.dot(steepness, direction)) >= FLATTER * slope:
                return best
            low = length
        length = (low + high) / 2 if np.isfinite(high) else 2 * length
    return best if best is not None and best[2] < value else None
