"""Second moments of what a layer reads and makes, streamed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetransfer.sparsify.layers import Float64Array, Layer
from edgetransfer.types import Float32Array, IntArray


@dataclass
class Moments:
    """Sums over samples of one layer; a sample is one output position of one view.

    The input carries a constant 1 as its last column where the layer can have a bias.

    Parameters
    ----------
    inputs
        (groups, columns, columns): the sum of x xᵀ over the pruned network's inputs x.
    cross
        (groups, rows, columns): the sum of y xᵀ, y being the dense network's outputs.
    outputs
        (groups, rows): the sum of y².
    sums
        (groups, rows): the sum of y.
    samples
        How many samples were summed.
    """

    inputs: Float64Array
    cross: Float64Array
    outputs: Float64Array
    sums: Float64Array
    samples: int = 0

    @classmethod
    def empty(cls, layer: Layer) -> Moments:
        """Sums over nothing."""
        groups, rows, columns = layer.groups, layer.rows, layer.columns + (layer.bias is not None)
        return cls(
            np.zeros((groups, columns, columns)),
            np.zeros((groups, rows, columns)),
            np.zeros((groups, rows)),
            np.zeros((groups, rows)),
        )

    def add(self, x: Float32Array, y: Float32Array) -> None:
        """Add samples: ``x`` (groups, columns, n) and ``y`` (groups, rows, n)."""
        self.inputs += np.matmul(x, x.transpose(0, 2, 1))
        self.cross += np.matmul(y, x.transpose(0, 2, 1))
        self.outputs += np.einsum("grn,grn->gr", y, y, dtype=np.float64)
        self.sums += y.sum(axis=2, dtype=np.float64)
        self.samples += x.shape[2]

    def errors(self, weights: Float64Array) -> Float64Array:
        """The squared error of (groups, rows, columns) weights, summed over samples, per row."""
        quadratic = np.einsum("grk,grk->gr", weights @ self.inputs, weights)
        linear = np.einsum("grk,grk->gr", self.cross, weights)
        total: Float64Array = np.maximum(quadratic - 2 * linear + self.outputs, 0)
        return total

    @property
    def variation(self) -> Float64Array:
        """(groups, rows): the squared distance of y from its mean, summed over samples."""
        spread = self.outputs - self.sums**2 / max(self.samples, 1)
        floor = 1e-12 * max(float(self.outputs.max()), 1e-30)
        result: Float64Array = np.maximum(spread, floor)
        return result

    def relative_error(self, weights: Float64Array) -> float:
        """The squared error over the outputs' variation, over the whole layer."""
        return float(self.errors(weights).sum() / self.variation.sum())


def sampled_positions(
    layer: Layer, output_shape: list[int], most: int, rng: np.random.Generator
) -> IntArray | None:
    """At most so many positions of one view's output; None for all of them."""
    positions = position_count(layer, output_shape)
    if positions <= most:
        return None
    return np.sort(rng.choice(positions, most, replace=False)).astype(np.int64)


def position_count(layer: Layer, output_shape: list[int]) -> int:
    """Output positions of one view."""
    if layer.operator == "Conv":
        return output_shape[2] * output_shape[3]
    return int(np.prod(output_shape[1:-1], dtype=np.int64))


def input_columns(layer: Layer, x: Float32Array, positions: IntArray | None) -> Float32Array:
    """What a layer reads at its output positions.

    Parameters
    ----------
    x
        Its input tensor: (n, C, H, W), or (n, …, C) of a fully connected layer.
    positions
        Which output positions of each view; all of them if None.

    Returns
    -------
    (groups, columns, samples) float32, with a last column of ones where the layer has a bias.
    """
    if layer.operator != "Conv":
        columns = _rows_of(x, positions).T[None]
    elif layer.kernel == (1, 1) and layer.strides == (1, 1) and not any(layer.pads):
        flat = x.reshape(*x.shape[:2], -1)
        columns = _grouped(flat if positions is None else flat[:, :, positions], layer.groups)
    else:
        columns = _grouped(_patches(layer, x, positions), layer.groups)
    if layer.bias is None:
        return columns
    ones = np.ones((columns.shape[0], 1, columns.shape[2]), np.float32)
    return np.concatenate([columns, ones], axis=1)


def output_rows(layer: Layer, y: Float32Array, positions: IntArray | None) -> Float32Array:
    """What a layer makes at those positions, (groups, rows, samples), in units of its gain."""
    scales = layer.scales.astype(np.float32)
    if layer.operator != "Conv":
        return _rows_of(y, positions).T[None] * scales
    flat = y.reshape(*y.shape[:2], -1)
    flat = flat if positions is None else flat[:, :, positions]
    return _grouped(flat, layer.groups) * scales


def _rows_of(x: NDArray[np.float32], positions: IntArray | None) -> NDArray[np.float32]:
    flat = x.reshape(len(x), -1, x.shape[-1])
    flat = flat if positions is None else flat[:, positions]
    return flat.reshape(-1, x.shape[-1])


def _grouped(x: NDArray[np.float32], groups: int) -> NDArray[np.float32]:
    """(n, channels, …, positions) to (groups, channels of a group …, n * positions)."""
    views, positions = x.shape[0], x.shape[-1]
    moved = x.reshape(views, groups, -1, positions).transpose(1, 2, 0, 3)
    return np.ascontiguousarray(moved).reshape(groups, -1, views * positions)


def _patches(
    layer: Layer, x: NDArray[np.float32], positions: IntArray | None
) -> NDArray[np.float32]:
    """The patches under a convolution's filters, (n, C * kernel, positions)."""
    top, left, bottom, right = layer.pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (kh, kw), (dh, dw) = layer.kernel, layer.dilations
    span = ((kh - 1) * dh + 1, (kw - 1) * dw + 1)
    windows: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(  # type: ignore[call-overload]
        padded, span, axis=(2, 3)
    )
    windows = windows[:, :, :: layer.strides[0], :: layer.strides[1], ::dh, ::dw]
    height, width = windows.shape[2:4]
    if positions is None:
        chosen = windows.reshape(*x.shape[:2], height * width, kh * kw)
    else:
        chosen = windows[:, :, positions // width, positions % width].reshape(
            *x.shape[:2], len(positions), kh * kw
        )
    return np.ascontiguousarray(chosen.transpose(0, 1, 3, 2)).reshape(len(x), -1, chosen.shape[2])
