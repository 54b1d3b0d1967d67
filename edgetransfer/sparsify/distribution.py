"""How a backbone's zeros are spread over its layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgetransfer.errors import UsageError
from edgetransfer.graphs.pruning import layer_sparsities
from edgetransfer.sparsify.layers import Float64Array, Layer
from edgetransfer.sparsify.weights import NetworkWeights
from edgetransfer.types import IntArray

GRID = np.array([0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98])
"""The sparsities at which errors and times are measured."""

_FINE = np.linspace(GRID[0], GRID[-1], 197)
_HALVINGS = 50
_BUDGET_HALVINGS = 10
MIXTURES = 9


def by_shape(
    layers: Sequence[Layer], weights: NetworkWeights, kind: str, sparsity: float
) -> Float64Array:
    """The sparsities that ``uniform`` or ``erk`` gives, (L,)."""
    arrays = {layer.name: weights.array(layer.name) for layer in layers}
    shares = layer_sparsities(arrays, sparsity, "erk" if kind == "erk" else "uniform")
    return np.array([shares[layer.name] for layer in layers])


def least_error(errors: Float64Array, costs: Float64Array, budget: float) -> Float64Array:
    """The sparsities that keep the sum of errors least at a total cost, (L,).

    Parameters
    ----------
    errors, costs
        (L, len(GRID)): of each layer at each sparsity of `GRID`. Between them both are taken as
        linear; errors are made to rise, costs to fall.
    budget
        The most that the costs may sum to.

    Raises
    ------
    UsageError
        If even the sparsest layers cost more.
    """
    fine_errors = _interpolated(np.maximum.accumulate(errors, axis=1))
    fine_costs = _interpolated(np.minimum.accumulate(costs, axis=1))
    if fine_costs[:, -1].sum() > budget:
        raise UsageError(
            f"the target cannot be reached: at {GRID[-1]:.0%} sparsity of every layer "
            f"{fine_costs[:, -1].sum() / max(fine_costs[:, 0].sum(), 1e-12):.0%} of the dense cost "
            "are left; ask for less"
        )
    rows = np.arange(len(errors))

    def chosen(price: float) -> IntArray:
        best: IntArray = np.argmin(fine_errors + price * fine_costs, axis=1).astype(np.int64)
        return best

    low, high = 0.0, 1.0
    while fine_costs[rows, chosen(high)].sum() > budget:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if fine_costs[rows, chosen(middle)].sum() > budget:
            low = middle
        else:
            high = middle
    # Layers move from the dearer solution to the cheaper one until the budget is met.
    result, cheaper = chosen(low), chosen(high)
    for layer in np.flatnonzero(result != cheaper):
        over = fine_costs[rows, result].sum() - budget
        if over <= 0:
            break
        steps = np.arange(result[layer], cheaper[layer] + 1)
        saved = fine_costs[layer, result[layer]] - fine_costs[layer, steps]
        enough = np.flatnonzero(saved >= over)
        result[layer] = steps[enough[0]] if len(enough) else cheaper[layer]
    spread: Float64Array = _FINE[result]
    return spread


def least_error_within(
    errors: Float64Array, first: Float64Array, second: Float64Array, shares: Float64Array
) -> Float64Array:
    """The sparsities that keep the sum of errors least within two budgets at once, (L,).

    Parameters
    ----------
    errors, first, second
        (L, len(GRID)): errors and two costs of each layer at each sparsity of `GRID`.
    shares
        (L,): sparsities whose costs are the budgets.
    """
    costs = [curve / _at(curve, shares).sum() for curve in (first, second)]
    best = (float(_at(errors, shares).sum()), shares)
    for weight in np.linspace(0, 1, MIXTURES):
        mixed = weight * costs[0] + (1 - weight) * costs[1]
        low, high = float(mixed[:, -1].sum()), 1.0
        for _ in range(_BUDGET_HALVINGS):
            middle = (low + high) / 2
            found = least_error(errors, mixed, middle)
            if max(_at(cost, found).sum() for cost in costs) > 1 + 1e-9:
                high = middle
            else:
                low = middle
                error = float(_at(errors, found).sum())
                best = min(best, (error, found), key=lambda pair: pair[0])
    return best[1]


def _at(curves: Float64Array, shares: Float64Array) -> Float64Array:
    """Each layer's curve at its sparsity, (L,)."""
    values = [np.interp(share, GRID, row) for share, row in zip(shares, curves, strict=True)]
    return np.array(values)


def weight_costs(layers: Sequence[Layer]) -> Float64Array:
    """The weights that stay in each layer at each sparsity of `GRID`, (L, len(GRID))."""
    sizes = np.array([layer.size for layer in layers], np.float64)
    return sizes[:, None] * (1 - GRID)


def _interpolated(curves: Float64Array) -> Float64Array:
    return np.stack([np.interp(_FINE, GRID, curve) for curve in curves])
