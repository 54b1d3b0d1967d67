"""Where the windows of convolutions and poolings lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgetransfer.engines.sparse.plan import Window
from edgetransfer.errors import EngineError
from edgetransfer.graphs.padding import same_padding

Pair = tuple[int, int]


def pair(values: Any, default: int) -> Pair:
    """Two numbers, for rows and columns."""
    if values is None:
        return default, default
    if len(values) != 2:
        raise EngineError(f"it knows images of two dimensions, not of {len(values)}")
    return int(values[0]), int(values[1])


def window_of(attributes: Mapping[str, Any], size: Pair, kernel: Pair) -> tuple[Window, Pair]:
    """The window of a convolution or pooling, and the size of its output.

    Parameters
    ----------
    attributes
        As ONNX names them: strides, dilations, pads or auto_pad, ceil_mode.
    size
        Rows and columns of the input.
    kernel
        Rows and columns of the kernel.

    Raises
    ------
    EngineError
        If a window does not fit or is padded by less than nothing.
    """
    stride = pair(attributes.get("strides"), 1)
    dilation = pair(attributes.get("dilations"), 1)
    if min(*stride, *dilation, *kernel) < 1:
        raise EngineError("a stride, dilation or kernel is below one")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = _pads(attributes, size, reach, stride)
    if min(pads) < 0:
        raise EngineError("a padding is below zero")
    sides = []
    for axis in range(2):
        room = size[axis] + pads[axis] + pads[axis + 2] - reach[axis]
        if room < 0:
            raise EngineError("a kernel is larger than its image")
        steps = room // stride[axis]
        if attributes.get("ceil_mode") and room % stride[axis]:
            # A window that would begin in the padding below is left out.
            steps += (steps + 1) * stride[axis] < size[axis] + pads[axis]
        sides.append(steps + 1)
    window = Window(kernel=kernel, stride=stride, dilation=dilation, padding=(pads[0], pads[1]))
    return window, (sides[0], sides[1])


def _pads(attributes: Mapping[str, Any], size: Pair, reach: list[int], stride: Pair) -> list[int]:
    automatic = attributes.get("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        pads = [int(p) for p in attributes.get("pads", [0, 0, 0, 0])]
        if len(pads) != 4:
            raise EngineError("it knows images of two dimensions alone")
        return pads
    if automatic == "VALID":
        return [0, 0, 0, 0]
    same = [
        same_padding(side, r, s, upper=automatic == "SAME_UPPER")
        for side, s, r in zip(size, stride, reach, strict=True)
    ]
    return [low for low, _ in same] + [high for _, high in same]
