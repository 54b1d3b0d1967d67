"""Errors as the next layer sees them: behind the activation function.

Where an activation clips the dense layer's output, it makes no difference how far beyond the
bound the pruned layer's output lies. So the target of such a sample may be moved to wherever the
output is now, if that is beyond the bound too, and to the bound if not; refitting and moving in
turns never raises the distance to the nearest output that is as good as the dense one. (The
asymmetric reconstruction of Zhang et al., "Accelerating very deep convolutional networks for
classification and detection", 2015, section 3.3, has the same purpose.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.sparsify.layers import Float64Array, Layer
from edgetransfer.types import Float32Array


@dataclass(frozen=True)
class Samples:
    """Single samples of a layer; one is an output position of one view.

    Parameters
    ----------
    inputs
        (groups, columns, n) float32, the constant 1 as last column where there is a bias.
    outputs
        (groups, rows, n) float32, of the dense network.
    """

    inputs: Float32Array
    outputs: Float32Array

    @property
    def count(self) -> int:
        """How many there are."""
        return self.inputs.shape[2]

    def thinned(self, most: int, rng: np.random.Generator) -> Samples:
        """At most so many of them."""
        if self.count <= most:
            return self
        chosen = np.sort(rng.choice(self.count, most, replace=False))
        return Samples(self.inputs[:, :, chosen], self.outputs[:, :, chosen])

    @classmethod
    def joined(cls, parts: list[Samples]) -> Samples:
        """All samples of several, in their order; empties the list, so that few exist twice."""
        if not parts:
            empty = np.empty((0, 0, 0), np.float32)
            return cls(empty, empty)
        count = sum(part.count for part in parts)
        inputs, outputs = (
            np.empty((*array.shape[:2], count), np.float32)
            for array in (parts[0].inputs, parts[0].outputs)
        )
        while parts:
            start = count - parts[-1].count
            part = parts.pop()
            inputs[:, :, start:count] = part.inputs
            outputs[:, :, start:count] = part.outputs
            count = start
        return cls(inputs, outputs)


def bounds(layer: Layer) -> tuple[Float32Array, Float32Array]:
    """The layer's clipping bounds, (groups, rows, 1) float32 each."""
    shape = (layer.groups, layer.rows, 1)
    return (
        layer.lower.astype(np.float32).reshape(shape),
        layer.upper.astype(np.float32).reshape(shape),
    )


def indifferent(
    layer: Layer, targets: Float32Array, inputs: Float32Array, weights: Float64Array
) -> Float32Array:
    """How far targets may be moved towards the outputs of given weights, (groups, rows, n)."""
    low, high = bounds(layer)
    made = np.matmul(weights.astype(np.float32), inputs)
    moved = np.zeros_like(targets)
    np.copyto(moved, np.minimum(made, low) - targets, where=targets <= low)
    np.copyto(moved, np.maximum(made, high) - targets, where=targets >= high)
    return moved


def clipped_error(layer: Layer, samples: Samples, weights: Float64Array) -> float:
    """The squared error behind the activation over the dense outputs' variation there."""
    low, high = bounds(layer)
    wanted = np.clip(samples.outputs, low, high)
    made = np.clip(np.matmul(weights.astype(np.float32), samples.inputs), low, high)
    error = np.einsum("grn,grn->", made - wanted, made - wanted, dtype=np.float64)
    centred = wanted - wanted.mean(axis=2, keepdims=True)
    variation = np.einsum("grn,grn->", centred, centred, dtype=np.float64)
    return float(error / max(float(variation), 1e-12 * max(samples.count, 1)))
