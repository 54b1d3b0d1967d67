"""The last pass: a scale and a shift for every output channel, where batch-norm would be re-tuned.

Each layer's outputs a·y + b in the pruned network are brought to those of the dense one in the
least-squares sense behind the activation function, in graph order, each layer seeing the
corrected ones before it. The scale goes into the weights, which is the same as changing the
running variance of a batch-norm behind them; the shift into that batch-norm's running mean, or
into the layer's bias where batch-norm is folded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.sparsify.layers import Float64Array, Layer
from edgetransfer.sparsify.moments import output_rows, sampled_positions
from edgetransfer.sparsify.streaming import NetworkPair
from edgetransfer.sparsify.weights import Parameters
from edgetransfer.types import Float32Array

ITERATIONS = 8
SAMPLES = 12_000
SHRINKAGE = 1e-3  # of the scale towards 1, in units of a channel's variance


@dataclass(frozen=True)
class Outputs:
    """Outputs of one layer, (channels, samples) each, in the pruned and the dense network."""

    pruned: Float32Array
    dense: Float32Array

    def shifted(self, shift: Float64Array) -> Outputs:
        """With (channels,) added to the pruned network's."""
        if not self.pruned.size:
            return self
        return Outputs(self.pruned + shift[:, None].astype(np.float32), self.dense)


def collect_outputs(layer: Layer, pair: NetworkPair, seed: int) -> tuple[Outputs, Outputs]:
    """Sample a layer's outputs in both networks: of the fitted views and of the held-out ones."""
    shape = pair.shape_of(layer.output)
    most = max(1, -(-SAMPLES // max(pair.views.fitted, 1)))
    parts: tuple[list[Outputs], list[Outputs]] = ([], [])
    for chunk in pair.stream([layer.output], [layer.output]):
        rng = np.random.default_rng((seed, layer.node, chunk.first, 1))
        positions = sampled_positions(layer, shape, most, rng)
        y, target = chunk.pruned[layer.output], chunk.dense[layer.output]
        cut = max(0, min(len(y), pair.views.fitted - chunk.first))
        for into, part in zip(parts, (slice(0, cut), slice(cut, None)), strict=True):
            if len(y[part]):
                into.append(
                    Outputs(
                        _flat(output_rows(layer, y[part], positions)),
                        _flat(output_rows(layer, target[part], positions)),
                    )
                )
    return _joined(parts[0]), _joined(parts[1])


def _flat(rows: Float32Array) -> Float32Array:
    return rows.reshape(-1, rows.shape[2])


def _joined(parts: list[Outputs]) -> Outputs:
    if not parts:
        return Outputs(np.empty((0, 0), np.float32), np.empty((0, 0), np.float32))
    return Outputs(
        np.concatenate([p.pruned for p in parts], axis=1),
        np.concatenate([p.dense for p in parts], axis=1),
    )


def scale_and_shift(
    fitted: Outputs, held_out: Outputs, lower: Float64Array, upper: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The scale and shift of every channel, (channels,) each; 1 and 0 where they do not help.

    Parameters
    ----------
    lower, upper
        (channels,): beyond these the activation function clips.
    """
    y = fitted.pruned.astype(np.float64)
    low, high = lower[:, None], upper[:, None]
    target = np.clip(fitted.dense.astype(np.float64), low, high)
    mean, count = y.mean(axis=1), y.shape[1]
    centred = y - mean[:, None]
    variance = np.maximum((centred**2).mean(axis=1), 1e-12)
    scale, shift = np.ones(len(y)), np.zeros(len(y))
    for _ in range(ITERATIONS):
        now = scale[:, None] * y + shift[:, None]
        # Where the dense output is clipped, whatever is clipped alike is as good.
        wanted = np.where(target <= low, np.minimum(now, low), target)
        wanted = np.where(target >= high, np.maximum(now, high), wanted)
        covariance = (centred * wanted).sum(axis=1) / count
        scale = (covariance + SHRINKAGE * variance) / ((1 + SHRINKAGE) * variance)
        scale = np.clip(scale, 0.5, 2.0)
        shift = wanted.mean(axis=1) - scale * mean
    judge = held_out if held_out.pruned.size else fitted
    before = clipped_errors(judge, np.ones(len(y)), np.zeros(len(y)), lower, upper)
    better = clipped_errors(judge, scale, shift, lower, upper) < before
    return np.where(better, scale, 1.0), np.where(better, shift, 0.0)


def clipped_errors(
    outputs: Outputs,
    scale: Float64Array,
    shift: Float64Array,
    lower: Float64Array,
    upper: Float64Array,
) -> Float64Array:
    """The squared error of every channel behind the activation function, (channels,)."""
    low, high = lower[:, None], upper[:, None]
    now = np.clip(scale[:, None] * outputs.pruned + shift[:, None], low, high)
    errors: Float64Array = ((now - np.clip(outputs.dense, low, high)) ** 2).sum(axis=1)
    return errors


def corrected(
    layer: Layer, parameters: Parameters, scale: Float64Array, shift: Float64Array
) -> Parameters:
    """A layer's parameters with the correction folded in."""
    shape = (layer.groups, layer.rows)
    weights = parameters.weights * scale.reshape(*shape, 1)
    if parameters.shift is None:
        return Parameters(weights, None)
    return Parameters(weights, parameters.shift * scale.reshape(shape) + shift.reshape(shape))
