"""Which numbers each non-zero weight of a convolution multiplies, as lists that kernels walk.

A list has an entry for each non-zero weight: how far its input lies from where a window begins, and
the place of its value among all weights. Masks do not change in a training, so lists are made once;
the values are gathered anew for each pass. The backward passes are walks over the same taps, as in
Nikdan et al., "SparseProp" (ICML 2023), section 3: by the input a sparse convolution over
transposed taps, by the weights a product of two maps at each non-zero weight alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.masked.native import LANES
from edgetransfer.reprs import short_repr

Places = NDArray[np.int64]
FIRST_CACHE = 24 * 1024  # bytes of inputs that a strip's products may go through again and again
STRIP = 7  # pixels


@dataclass(frozen=True, kw_only=True)
class Window:
    """The window of a convolution, as (rows, columns) each.

    Parameters
    ----------
    kernel, strides, dilations
        Of the window.
    begins, ends
        Zeros before and behind the map.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    begins: tuple[int, int] = (0, 0)
    ends: tuple[int, int] = (0, 0)

    __repr__ = short_repr

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size of a map with its zeros."""
        first, second = (s + b + e for s, b, e in zip(size, self.begins, self.ends, strict=True))
        return first, second

    def made(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size of the map that comes out."""
        first, second = (
            (s - (k - 1) * d - 1) // stride + 1
            for s, k, d, stride in zip(
                self.padded(size), self.kernel, self.dilations, self.strides, strict=True
            )
        )
        return first, second


@dataclass(frozen=True, kw_only=True)
class Taps:
    """Non-zero weights in rows.

    Parameters
    ----------
    starts
        (rows + 1,) int64.
    offsets
        (n,) int32: of the input, in floats from where the window begins.
    places
        (n,) int64: of the value among all weights, which lie as (O, kh, kw, C).
    groups
        How many times over the rows are gone through (see `for_weights`).
    """

    starts: Places
    offsets: NDArray[np.int32]
    places: Places
    groups: int = 1

    @classmethod
    def ordered(
        cls, rows: Places, count: int, offsets: Places, places: Places, groups: int = 1
    ) -> Taps:
        """From entries in any order: by row, then by where they look."""
        if len(offsets) and offsets.max() + LANES > np.iinfo(np.int32).max:
            raise ValueError("the map is too large")
        order = np.lexsort((offsets, rows))
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
        return cls(
            starts=starts.astype(np.int64),
            offsets=offsets[order].astype(np.int32),
            places=places[order],
            groups=groups,
        )


@dataclass(frozen=True, kw_only=True)
class Entries:
    """The non-zero weights of a mask, (n,) int64 each.

    Output and input channel, row and column in the window, and place among the weights.
    """

    output: Places
    input: Places
    row: Places
    column: Places
    place: Places

    @classmethod
    def of(cls, mask: NDArray[Any], groups: int) -> Entries:
        """Of a mask (O, kh, kw, C / groups)."""
        output, row, column, within = (a.astype(np.int64) for a in np.nonzero(mask))
        group = output // (len(mask) // groups)
        return cls(
            output=output,
            input=group * mask.shape[3] + within,
            row=row,
            column=column,
            place=np.flatnonzero(mask).astype(np.int64),
        )

    def chosen(self, which: NDArray[np.bool_]) -> Entries:
        """Some of them."""
        return Entries(
            output=self.output[which],
            input=self.input[which],
            row=self.row[which],
            column=self.column[which],
            place=self.place[which],
        )


def _looks(entries: Entries, window: Window, width: int, channels: int) -> Places:
    """How far into the padded map each weight looks."""
    down, right = window.dilations
    pixels = entries.row * down * width + entries.column * right
    return (pixels * channels + entries.input) * LANES


def for_outputs(entries: Entries, window: Window, width: int, channels: int, outputs: int) -> Taps:
    """Taps of the forward pass: a row an output channel, over a map padded to this width."""
    return Taps.ordered(
        entries.output, outputs, _looks(entries, window, width, channels), entries.place
    )


def for_weights(entries: Entries, window: Window, width: int, channels: int, outputs: int) -> Taps:
    """The same for the gradients of the weights, by groups of input channels.

    A strip of the inputs of one group stays in the first cache while all output channels go over
    it.
    """
    columns = (STRIP - 1) * min(window.strides[1], window.kernel[1]) + window.kernel[1]
    lines = window.kernel[0] * columns
    together = max(1, FIRST_CACHE // (lines * LANES * 4))
    group = entries.input // together
    groups = -(-channels // together)
    return Taps.ordered(
        group * outputs + entries.output,
        groups * outputs,
        _looks(entries, window, width, channels),
        entries.place,
        groups,
    )


@dataclass(frozen=True, kw_only=True)
class Phase:
    """The pixels of the input that lie alike to the strides, and which gradients they sum.

    Parameters
    ----------
    first, counts
        The first such pixel, and how many there are, as (row, column).
    begin
        Where the window of the first one begins on the padded map of gradients.
    taps
        A row an input channel.
    """

    first: tuple[int, int]
    counts: tuple[int, int]
    begin: tuple[int, int]
    taps: Taps


@dataclass(frozen=True, kw_only=True)
class InputWalk:
    """How the gradient by the input is made: each phase over the padded map of gradients.

    Parameters
    ----------
    begins, ends
        Zeros around the map of gradients.
    """

    begins: tuple[int, int]
    ends: tuple[int, int]
    phases: tuple[Phase, ...]


@dataclass(frozen=True)
class _Axis:
    """One axis of one phase: its pixels, and for each tap how far its gradient lies."""

    first: int
    count: int
    quotient: int
    taps: dict[int, int]


def _axes(size: int, kernel: int, stride: int, dilation: int, begin: int) -> Iterator[_Axis]:
    """Pixel i took part through tap k in output (i + begin - k * dilation) / stride."""
    for remainder in range(stride):
        first = (remainder - begin) % stride
        if first >= size:
            continue
        taps = {
            k: (remainder - k * dilation) // stride
            for k in range(kernel)
            if (remainder - k * dilation) % stride == 0
        }
        count = -(-(size - first) // stride)
        yield _Axis(first, count, (first + begin - remainder) // stride, taps)


def for_inputs(
    entries: Entries, window: Window, size: tuple[int, int], channels: int, outputs: int
) -> InputWalk:
    """Taps of the gradient by an input map of this size."""
    made = window.made(size)
    axes = [
        list(_axes(size[i], window.kernel[i], window.strides[i], window.dilations[i], begin))
        for i, begin in enumerate(window.begins)
    ]
    begins, ends = [], []
    for along, length in zip(axes, made, strict=True):
        reached = [a for a in along if a.taps]
        begins.append(max((-(a.quotient + min(a.taps.values())) for a in reached), default=0))
        last = (a.quotient + a.count - 1 + max(a.taps.values()) for a in reached)
        ends.append(max(last, default=0) - (length - 1))
    begins, ends = [max(0, n) for n in begins], [max(0, n) for n in ends]
    width = made[1] + begins[1] + ends[1]
    phases = []
    for down in axes[0]:
        for right in axes[1]:
            low = [min(a.taps.values(), default=0) for a in (down, right)]
            rows, columns = (
                _table(a.taps, window.kernel[i], low[i]) for i, a in enumerate((down, right))
            )
            own = entries.chosen((rows[entries.row] >= 0) & (columns[entries.column] >= 0))
            pixels = rows[own.row] * width + columns[own.column]
            offsets = (pixels * outputs + own.output) * LANES
            begin = [a.quotient + b + t for a, b, t in zip((down, right), begins, low, strict=True)]
            phases.append(
                Phase(
                    first=(down.first, right.first),
                    counts=(down.count, right.count),
                    begin=(begin[0], begin[1]),
                    taps=Taps.ordered(own.input, channels, offsets, own.place),
                )
            )
    return InputWalk(begins=(begins[0], begins[1]), ends=(ends[0], ends[1]), phases=tuple(phases))


def _table(taps: dict[int, int], kernel: int, low: int) -> Places:
    """How far each tap looks, from the nearest one on; -1 where it does not."""
    return np.array([taps[k] - low if k in taps else -1 for k in range(kernel)], np.int64)
