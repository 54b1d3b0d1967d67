"""Limited-memory BFGS for unknowns of about one curvature, in the precision of its arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array

MEMORY = 10  # pairs of steps and changes of the gradient
ENOUGH = 1e-4  # of the decrease that the slope promises (Armijo)
FLATTER = 0.9  # of the slope, what may be left of it (Wolfe)
TRIALS = 20  # of one line search
ROUNDING = 4  # units in the last place of a value, by which it may seem to grow

Evaluate = Callable[[FloatArray], tuple[float, FloatArray]]


def minimised(
    evaluate: Evaluate,
    first: FloatArray,
    *,
    max_iterations: int,
    finished: Callable[[FloatArray, float, FloatArray], bool],
) -> tuple[FloatArray, int, bool]:
    """The minimiser of a convex function, the iterations taken, and whether it will do.

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
    """
    at = first
    value, gradient = evaluate(at)
    steps = np.empty((MEMORY, len(at)), at.dtype)
    changes = np.empty_like(steps)
    curvatures: Float64Array = np.zeros(MEMORY)
    kept = 0
    for iteration in range(max_iterations):
        if finished(at, value, gradient):
            return at, iteration, True
        newest_first = [(kept - 1 - back) % MEMORY for back in range(min(kept, MEMORY))]
        direction = _direction(gradient, steps, changes, curvatures, newest_first)
        # The first step is short: beyond it little is known of the curvature.
        length = 1.0 if newest_first else min(1.0, 1 / float(np.sqrt(np.dot(gradient, gradient))))
        found = _along(evaluate, at, value, gradient, direction, length)
        if found is None:
            return at, iteration, False
        length, then, below, slope = found
        place = kept % MEMORY
        np.multiply(direction, length, out=steps[place])
        np.subtract(slope, gradient, out=changes[place])
        curvature = float(np.dot(steps[place], changes[place]))
        if curvature > 0:
            curvatures[place] = curvature
            kept += 1
        at, value, gradient = then, below, slope
    return at, max_iterations, finished(at, value, gradient)


def _direction(
    gradient: FloatArray,
    steps: FloatArray,
    changes: FloatArray,
    curvatures: Float64Array,
    newest_first: list[int],
) -> FloatArray:
    direction = -gradient
    shares = {}
    for place in newest_first:
        shares[place] = float(np.dot(steps[place], direction)) / curvatures[place]
        direction -= direction.dtype.type(shares[place]) * changes[place]
    if newest_first:
        last = newest_first[0]
        scale = curvatures[last] / float(np.dot(changes[last], changes[last]))
        direction *= direction.dtype.type(scale)
    for place in reversed(newest_first):
        back = float(np.dot(changes[place], direction)) / curvatures[place]
        direction += direction.dtype.type(shares[place] - back) * steps[place]
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
