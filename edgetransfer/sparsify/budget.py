"""How sparse each layer is to be: by rule, by error, or by what the engine gains."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgetransfer.errors import UsageError
from edgetransfer.graphs.pruning import layer_sparsities
from edgetransfer.settings.sparsify import Pattern, Sparsification
from edgetransfer.sparsify.distribution import (
    GRID,
    by_shape,
    least_error,
    least_error_within,
    weight_costs,
)
from edgetransfer.sparsify.layers import Float64Array, Layer
from edgetransfer.sparsify.moments import Moments, position_count
from edgetransfer.sparsify.patterns import fits, projection
from edgetransfer.sparsify.reconstruction import collect, magnitude, regularised
from edgetransfer.sparsify.selection import SupportProblem
from edgetransfer.sparsify.streaming import NetworkPair, shapes_of
from edgetransfer.sparsify.timing import Stopwatch
from edgetransfer.sparsify.weights import NetworkWeights, Parameters
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)

CLOSE_ENOUGH = 0.03
ROUGHLY = 24  # iterations, enough to compare layers
MISSED = 0.1  # a target further away than this is an error
ATTEMPTS = 8


@dataclass(frozen=True)
class Budget:
    """The sparsity of every pruned layer by name, and what was measured to find it."""

    shares: dict[str, float]
    measured: dict[str, Any]


def error_curves(
    settings: Sparsification, layers: Sequence[Layer], pair: NetworkPair, progress: Progress
) -> Float64Array:
    """The relative error of each layer alone at each sparsity of `GRID`, (L, len(GRID)).

    ``pair`` holds the dense network twice.
    """
    dense = NetworkWeights(pair.dense)
    curves = []
    for number, layer in enumerate(layers):
        progress("trying sparsities", number, len(layers))
        pair.advance(layer.node)
        moments = collect(layer, pair, settings.seed).moments
        before = dense.parameters(layer)
        inputs, cross = regularised(moments, before.augmented)
        problems = [SupportProblem(group, bias=layer.bias is not None) for group in inputs]
        errors = []
        for share in GRID:
            project = projection(Pattern(), layer, float(share))
            weights = np.stack(
                [p.select(c, project, ROUGHLY)[1] for p, c in zip(problems, cross, strict=True)]
            )
            errors.append(_error_with_best_bias(layer, moments, weights, before))
        curves.append(errors)
    progress("trying sparsities", len(layers), len(layers))
    return np.array(curves)


def _error_with_best_bias(
    layer: Layer, moments: Moments, weights: Float64Array, before: Parameters
) -> float:
    if before.shift is None:
        return float(moments.relative_error(weights))
    means = moments.inputs[:, -1, :-1] / moments.samples
    shift = moments.sums / moments.samples - np.einsum("grk,gk->gr", weights, means)
    return float(moments.relative_error(Parameters(weights, shift).augmented))


def plan(
    settings: Sparsification,
    layers: Sequence[Layer],
    pair: NetworkPair | None,
    frozen: onnx.ModelProto,
    stopwatch: Stopwatch | None,
    progress: Progress,
) -> Budget:
    """Spread the zeros.

    Parameters
    ----------
    layers
        Those that are pruned.
    pair
        The dense network twice; needed by ``global`` and ``time``.
    frozen
        The dense backbone in the batch that speed is measured at.
    stopwatch
        Needed by ``time``.

    Raises
    ------
    UsageError
        If a target speed cannot be reached on this machine.
    """
    names = [layer.name for layer in layers]
    weights = NetworkWeights(frozen)
    pattern = settings.parsed_pattern
    kind = settings.distribution_name
    if kind in ("uniform", "erk") or pattern.sparsity is not None:
        shares = by_shape(layers, weights, kind, settings.target_sparsity)
        fitting = np.array([fits(pattern, layer) for layer in layers])
        return Budget(dict(zip(names, np.where(fitting, shares, 0.0).tolist(), strict=True)), {})
    if kind == "global" and settings.method == "magnitude":
        arrays = {name: weights.array(name) for name in names}
        return Budget(layer_sparsities(arrays, settings.target_sparsity, "global"), {})
    if pair is None:
        raise UsageError(f"--distribution {kind} needs --calibration, a folder of photos")
    errors = error_curves(settings, layers, pair, progress)
    if kind == "global":
        # Least error with as many zeros, and as few multiply-adds, as the same sparsity everywhere.
        shapes = shapes_of(frozen)
        weight = weight_costs(layers)
        positions = np.array([position_count(layer, shapes[layer.output]) for layer in layers])
        even = np.full(len(layers), settings.target_sparsity)
        shares = least_error_within(errors, weight, weight * positions[:, None], even)
        measured = {
            "sparsities": GRID.tolist(),
            "errors": dict(zip(names, errors.tolist(), strict=True)),
        }
        return Budget(dict(zip(names, shares.tolist(), strict=True)), measured)
    if stopwatch is None:
        raise UsageError(f"--distribution {kind} needs an engine to measure")
    return _by_time(settings, layers, errors, frozen, stopwatch, progress)


def _by_time(
    settings: Sparsification,
    layers: Sequence[Layer],
    errors: Float64Array,
    frozen: onnx.ModelProto,
    stopwatch: Stopwatch,
    progress: Progress,
) -> Budget:
    names = [layer.name for layer in layers]
    times = stopwatch.layer_times(layers, shapes_of(frozen), progress)
    target = settings.target_speedup
    if target is None:
        # As fast as the same sparsity everywhere, but with the least error.
        at = np.array([np.interp(settings.target_sparsity, GRID, curve) for curve in times])
        shares = least_error(errors, times, float(at.sum()))
        return Budget(dict(zip(names, shares.tolist(), strict=True)), _measured(names, times))
    shares = _aimed(target, layers, errors, times, frozen, stopwatch, progress)
    return Budget(dict(zip(names, shares.tolist(), strict=True)), _measured(names, times))


def _aimed(
    target: float,
    layers: Sequence[Layer],
    errors: Float64Array,
    times: Float64Array,
    frozen: onnx.ModelProto,
    stopwatch: Stopwatch,
    progress: Progress,
) -> Float64Array:
    """Sparsities at which the whole backbone, pruned by magnitude, has the wanted speed.

    Layers timed alone do not add up to a backbone, so the sum that they may cost is moved by
    what the whole one misses.
    """
    batch = frozen.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    least, most = float(times[:, -1].sum()), float(times[:, 0].sum())
    allowed = most / target
    found: list[tuple[float, float, Float64Array]] = []
    slow: tuple[float, float] | None = None  # what was allowed, and how much too long it took
    fast: tuple[float, float] | None = None
    for attempt in range(ATTEMPTS):
        progress("aiming at the speed", attempt, ATTEMPTS)
        allowed = min(max(allowed, least), most)
        shares = least_error(errors, times, allowed)
        dense_speed, speed = stopwatch.compare(_pruned(layers, shares, frozen))
        reached = speed / dense_speed
        logger.info(
            "layers cut to %.0f %% of their dense time: %.2f times the dense speed",
            100 * allowed / most,
            reached,
        )
        found.append((abs(reached / target - 1), reached, shares))
        if found[-1][0] < CLOSE_ENOUGH or (allowed == least and reached < target):
            break
        late = batch / speed - batch / dense_speed / target
        if late > 0:
            slow = allowed, late
        else:
            fast = allowed, late
        if slow is None or fast is None:
            allowed -= late
        else:  # between the two, and not too near to either
            share = slow[1] / (slow[1] - fast[1])
            allowed = slow[0] + min(max(share, 0.1), 0.9) * (fast[0] - slow[0])
    progress("aiming at the speed", ATTEMPTS, ATTEMPTS)
    missed, reached, shares = min(found, key=lambda attempt: attempt[0])
    if missed > MISSED:
        raise UsageError(
            f"--target-speedup {target:g} was not reached: {stopwatch.choice.name} came to "
            f"{reached:.2f} times the dense speed here; "
            + (
                "that is the sparsest there is: ask for less, or take another --engine"
                if allowed == least
                else "measure again when the machine is idle, or ask for about that"
            )
        )
    return shares


def _pruned(
    layers: Sequence[Layer], shares: Float64Array, frozen: onnx.ModelProto
) -> onnx.ModelProto:
    """A copy of a backbone, pruned by magnitude."""
    model = onnx.ModelProto()
    model.CopyFrom(frozen)
    weights = NetworkWeights(model)
    for layer, share in zip(layers, shares.tolist(), strict=True):
        before = weights.parameters(layer)
        weights.set_array(
            layer.name, layer.from_matrix(magnitude(layer, before, share, Pattern()).weights)
        )
    return model


def _measured(names: list[str], times: Float64Array) -> dict[str, Any]:
    """Milliseconds by layer and sparsity, for the report."""
    return {
        "sparsities": GRID.tolist(),
        "milliseconds": {
            name: [round(1000 * t, 3) for t in row]
            for name, row in zip(names, times.tolist(), strict=True)
        },
    }
