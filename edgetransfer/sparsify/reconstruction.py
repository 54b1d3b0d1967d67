"""One layer: choose the weights that stay, and refit them to the dense layer's outputs."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from edgetransfer.settings.sparsify import Pattern
from edgetransfer.sparsify.activation import Samples, clipped_error, indifferent
from edgetransfer.sparsify.layers import Float64Array, Layer
from edgetransfer.sparsify.moments import (
    Moments,
    input_columns,
    output_rows,
    sampled_positions,
)
from edgetransfer.sparsify.patterns import projection
from edgetransfer.sparsify.refit import refit
from edgetransfer.sparsify.selection import Mask, SupportProblem
from edgetransfer.sparsify.streaming import NetworkPair
from edgetransfer.sparsify.weights import Parameters

RIDGE = 1e-2  # towards the dense weights, in units of the inputs' mean square
HALF_TRUST = 0.5  # in the dense network's outputs, where trusting them fully overfits
OVERFITS = 1.1  # held-out error over fitted error, from which on half trust is tried
ROUNDS = 4  # of moving targets that the activation function makes indifferent
CHOOSE_AGAIN = 1  # the round in which the weights are chosen anew
SAMPLES_PER_COLUMN = 100
LEAST_SAMPLES = 16_000
SAMPLE_BYTES = 3 * 2**28


@dataclass(frozen=True, kw_only=True)
class LayerData:
    """What is known of a layer: moments over the fitted views, samples of them, and held-out ones.

    Parameters
    ----------
    moments
        Over all sampled positions of the fitted views.
    fitted, held_out
        Single samples; of the fitted ones as many as memory allows.
    """

    moments: Moments
    fitted: Samples
    held_out: Samples


def collect(layer: Layer, pair: NetworkPair, seed: int) -> LayerData:
    """Stream a layer's inputs in the pruned network and its outputs in the dense one."""
    moments = Moments.empty(layer)
    kept: tuple[list[Samples], list[Samples]] = ([], [])
    shape = pair.shape_of(layer.output)
    views = pair.views
    wanted = max(LEAST_SAMPLES, SAMPLES_PER_COLUMN * layer.columns)
    most = max(1, -(-wanted // max(views.fitted, 1)))
    numbers = layer.groups * (layer.rows + layer.columns + 1)
    room = max(1, SAMPLE_BYTES // (4 * numbers * len(views)))
    for chunk in pair.stream([layer.output], [layer.input]):
        rng = np.random.default_rng((seed, layer.node, chunk.first))
        positions = sampled_positions(layer, shape, most, rng)
        x, y = chunk.pruned[layer.input], chunk.dense[layer.output]
        cut = max(0, min(len(x), views.fitted - chunk.first))
        for into, part in zip(kept, (slice(0, cut), slice(cut, None)), strict=True):
            if not len(x[part]):
                continue
            found = Samples(
                input_columns(layer, x[part], positions), output_rows(layer, y[part], positions)
            )
            if into is kept[0]:
                moments.add(found.inputs, found.outputs)
            into.append(found.thinned(room * len(x[part]), rng))
    return LayerData(
        moments=moments, fitted=Samples.joined(kept[0]), held_out=Samples.joined(kept[1])
    )


def regularised(
    moments: Moments, dense: Float64Array, trust: float = 1.0, ridge: float = RIDGE
) -> tuple[Float64Array, Float64Array]:
    """Moments with a pull towards the dense weights added, which makes them definite.

    Parameters
    ----------
    dense
        (groups, rows, columns): the dense layer's weights, the shift as last column.
    trust
        The target is this share of the dense network's outputs; the rest is what the dense layer
        makes of the pruned network's inputs, which holds no errors of earlier layers to correct
        and so cannot be fitted too well.

    Returns
    -------
    (groups, K, K) inputs and (groups, rows, K) cross moments.
    """
    inputs = moments.inputs.copy()
    cross = trust * moments.cross + (1 - trust) * (dense @ moments.inputs)
    diagonal = np.einsum("gkk->gk", inputs)
    size = diagonal.mean(axis=1) + 1e-6 * max(moments.samples, 1)
    diagonal += ridge * size[:, None]
    cross += ridge * size[:, None, None] * dense
    return inputs, cross


def magnitude(layer: Layer, dense: Parameters, sparsity: float, pattern: Pattern) -> Parameters:
    """The largest weights of a layer as they are."""
    kept = _magnitude_mask(layer, dense, sparsity, pattern)
    return Parameters(np.where(kept, dense.weights, 0), dense.shift)


def reconstruct(
    layer: Layer,
    dense: Parameters,
    data: LayerData,
    sparsity: float,
    pattern: Pattern,
    pool: Executor,
) -> Parameters:
    """Choose and refit a layer's weights; without sparsity they are refitted only.

    What comes out is never worse on the held-out views than magnitude pruning of the layer.
    """
    judge = data.held_out if data.held_out.count else data.fitted
    plain = magnitude(layer, dense, sparsity, pattern) if sparsity else dense
    allowed = clipped_error(layer, judge, plain.augmented)
    task = _Task(layer, dense, data, sparsity, pattern, pool)
    found = task.solve(1.0)
    error = clipped_error(layer, judge, found)
    if error > OVERFITS * clipped_error(layer, data.fitted, found):
        shrunk = task.solve(HALF_TRUST)
        if (shrunk_error := clipped_error(layer, judge, shrunk)) < error:
            found, error = shrunk, shrunk_error
    if sparsity and error > allowed:
        found = task.solve(HALF_TRUST, _magnitude_mask(layer, dense, sparsity, pattern))
        error = clipped_error(layer, judge, found)
    return plain if error > allowed else Parameters.split(layer, found)


class _Task:
    """One layer's problem."""

    def __init__(
        self,
        layer: Layer,
        dense: Parameters,
        data: LayerData,
        sparsity: float,
        pattern: Pattern,
        pool: Executor,
    ) -> None:
        self.layer = layer
        self.sparsity = sparsity
        self.pool = pool
        self.project = projection(pattern, layer, sparsity)
        self.dense = dense.augmented
        self.moments = data.moments
        self.samples = data.fitted
        self.problems: list[SupportProblem] = []
        self.weight = data.moments.samples / max(data.fitted.count, 1)

    def solve(self, trust: float, support: Mask | None = None) -> Float64Array:
        """The augmented weights; the support is chosen if None."""
        self.inputs, first_cross = regularised(self.moments, self.dense, trust)
        targets = self.samples.outputs
        if trust < 1:
            own = np.matmul(self.dense.astype(np.float32), self.samples.inputs)
            targets = trust * targets + (1 - trust) * own
        kept = self._chosen(first_cross) if support is None else support
        found = self._refitted(first_cross, kept)
        if np.isinf(self.layer.lower).all() and np.isinf(self.layer.upper).all():
            return found
        for number in range(ROUNDS):
            moved = indifferent(self.layer, targets, self.samples.inputs, found)
            cross = first_cross + self.weight * np.matmul(
                moved, self.samples.inputs.transpose(0, 2, 1)
            )
            if number == CHOOSE_AGAIN and support is None:
                kept = self._chosen(cross)
            found = self._refitted(cross, kept)
        return found

    def _chosen(self, cross: Float64Array) -> Mask:
        if not self.sparsity:
            return np.ones((*cross.shape[:2], self.layer.columns), bool)
        if not self.problems:
            bias = self.layer.bias is not None
            self.problems = [SupportProblem(inputs, bias=bias) for inputs in self.inputs]
        return np.stack(
            [p.select(c, self.project)[0] for p, c in zip(self.problems, cross, strict=True)]
        )

    def _refitted(self, cross: Float64Array, kept: Mask) -> Float64Array:
        if self.layer.bias is not None:
            kept = np.concatenate([kept, np.ones((*kept.shape[:2], 1), bool)], axis=2)
        groups = [
            refit(i, c, k, self.pool) for i, c, k in zip(self.inputs, cross, kept, strict=True)
        ]
        return np.stack(groups)


def _magnitude_mask(layer: Layer, dense: Parameters, sparsity: float, pattern: Pattern) -> Mask:
    project = projection(pattern, layer, sparsity)
    return np.stack([project(np.abs(group).astype(np.float32)) for group in dense.weights])
