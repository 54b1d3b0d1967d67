"""A convolution at a fixed mask, forward and backward, in the native library; without torch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.masked.native import LANES, TrainingThreads, Walk, address
from edgetransfer.masked.taps import (
    Entries,
    InputWalk,
    Taps,
    Window,
    for_inputs,
    for_outputs,
    for_weights,
)
from edgetransfer.types import Float32Array

Size = tuple[int, int]
Limits = tuple[float, float]
"""Between which an activation holds numbers: zero and infinity for a ReLU."""


class MaskedConvolution:
    """A convolution whose zero weights are no work.

    Maps are (blocks, H, W, channels, 16) float32: sixteen images a block, see
    `TrainingThreads.to_lanes`. Weights are (O, kh, kw, C / groups) float32. All sums are made in
    one order, whatever the number of threads.

    Parameters
    ----------
    mask
        (O, kh, kw, C / groups), True where a weight is kept.
    window
        Kernel, strides, dilations and zeros around the map.
    groups
        Of channels that do not mix; as many as channels for a depthwise convolution.
    threads
        That the kernels run on.
    """

    def __init__(
        self, mask: NDArray[Any], window: Window, *, groups: int = 1, threads: TrainingThreads
    ) -> None:
        if mask.shape[1:3] != window.kernel or len(mask) % groups:
            raise ValueError(f"a mask of shape {mask.shape} does not fit {window}")
        self.window = window
        self.shape = mask.shape
        self.inputs, self.outputs = mask.shape[3] * groups, len(mask)
        self.threads = threads
        self._entries = Entries.of(mask, groups)
        # A training sees maps of one size; the last batch of an epoch too.
        self._taps = lru_cache(maxsize=2)(self._make_taps)

    def _make_taps(self, size: Size) -> tuple[Taps, Taps, InputWalk]:
        width = self.window.padded(size)[1]
        given = (self._entries, self.window)
        return (
            for_outputs(*given, width, self.inputs, self.outputs),
            for_weights(*given, width, self.inputs, self.outputs),
            for_inputs(*given, size, self.inputs, self.outputs),
        )

    def made(self, size: Size) -> Size:
        """The size of the map that comes out."""
        return self.window.made(size)

    def forward(
        self,
        x: Float32Array,
        weights: Float32Array,
        bias: Float32Array | None = None,
        limits: Limits | None = None,
    ) -> Float32Array:
        """The map that comes out of ``x``, held between two limits if there are any."""
        size = (x.shape[1], x.shape[2])
        y = np.empty((len(x), *self.made(size), self.outputs, LANES), np.float32)
        taps, _, _ = self._taps(size)
        values = np.take(weights.reshape(-1), taps.places)
        walk = self._walk(padded(x, self.window.begins, self.window.ends), y, taps, values)
        if bias is not None:
            walk.bias = address(bias)  # of the caller's array, which lives as long
        if limits is not None:
            walk.low, walk.high = limits
        self.threads.call("convolve", walk)
        return y

    def weight_gradient(self, x: Float32Array, gradient: Float32Array) -> Float32Array:
        """By the weights, zero where they are masked; of the gradient by the map that came out."""
        _, taps, _ = self._taps((x.shape[1], x.shape[2]))
        sums = np.empty(len(taps.places), np.float32)
        walk = self._walk(padded(x, self.window.begins, self.window.ends), gradient, taps, sums)
        self.threads.call("correlate", walk)
        found = np.zeros(self.shape, np.float32)
        found.reshape(-1)[taps.places] = sums
        return found

    def input_gradient(
        self, gradient: Float32Array, weights: Float32Array, size: Size
    ) -> Float32Array:
        """By the map of this size that went in."""
        _, _, inputs = self._taps(size)
        g = padded(gradient, inputs.begins, inputs.ends)
        found = np.empty((len(g), *size, self.inputs, LANES), np.float32)
        down, right = self.window.strides
        for phase in inputs.phases:
            values = np.take(weights.reshape(-1), phase.taps.places)
            (top, left), (row, column) = phase.begin, phase.first
            walk = _bare_walk(
                g[:, top:, left:], found[:, row::down, column::right], phase.taps, values
            )
            walk.blocks, walk.channels = len(g), self.inputs
            walk.rows, walk.pixels = phase.counts
            self.threads.call("convolve", walk)
        return found

    def _walk(self, x: Float32Array, y: Float32Array, taps: Taps, values: Float32Array) -> Walk:
        down, right = self.window.strides
        walk = _bare_walk(x, y, taps, values)
        walk.in_row, walk.in_pixel = walk.in_row * down, walk.in_pixel * right
        walk.blocks, walk.rows, walk.pixels, walk.channels = y.shape[:4]
        return walk


def _bare_walk(x: Float32Array, y: Float32Array, taps: Taps, values: Float32Array) -> Walk:
    """A walk over two maps, or parts of them, pixel by pixel."""
    (in_block, in_row, in_pixel), (out_block, out_row, out_pixel) = (
        (stride // 4 for stride in array.strides[:3]) for array in (x, y)
    )
    walk = Walk(
        input=x.ctypes.data,
        output=y.ctypes.data,
        in_size=_reach(x),
        out_size=_reach(y),
        in_block=in_block,
        in_row=in_row,
        in_pixel=in_pixel,
        out_block=out_block,
        out_row=out_row,
        out_pixel=out_pixel,
        starts=address(taps.starts),
        offsets=address(taps.offsets),
        weights=len(taps.offsets),
        groups=taps.groups,
        values=address(values),
        low=-np.inf,
        high=np.inf,
    )
    walk.kept = (x, y, taps, values)
    return walk


def _reach(array: Float32Array) -> int:
    """Floats from the first number of an array to behind its last."""
    return 1 + sum((n - 1) * s // 4 for n, s in zip(array.shape, array.strides, strict=True))


def padded(x: Float32Array, begins: Size, ends: Size) -> Float32Array:
    """A map with zeros around it, or as it is if there are to be none."""
    if begins == ends == (0, 0):
        return x
    blocks, rows, columns, *rest = x.shape
    top, left = begins
    size = (rows + top + ends[0], columns + left + ends[1])
    out = np.empty((blocks, *size, *rest), np.float32)
    out[:, :top] = 0
    out[:, top + rows :] = 0
    out[:, top : top + rows, :left] = 0
    out[:, top : top + rows, left + columns :] = 0
    out[:, top : top + rows, left : left + columns] = x
    return out
