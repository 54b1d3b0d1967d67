"""What folding is held to: how large a value may be, and inputs that are there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx

from edgetransfer.graphs.graph import Array, attribute

LARGEST = 1 << 28  # values: 1 GiB of float32
Inputs = list[Array | None]


class TooLargeError(ValueError):
    """A value that would not fit any network."""


def check_fits(shape: Iterable[Any]) -> None:
    """Refuse to make a constant of more than `LARGEST` values.

    Raises
    ------
    TooLargeError
        If it would have more.
    ValueError
        If a dimension is negative.
    """
    dims = [int(d) for d in shape]
    if any(d < 0 for d in dims):
        raise ValueError(f"a shape has a negative dimension: {dims}")
    if math.prod(dims) > LARGEST:
        raise TooLargeError(f"it would make a constant of shape {dims}")


def needed(inputs: Inputs, count: int) -> list[Array]:
    """The first inputs, all of which must be there.

    Raises
    ------
    ValueError
        If one is left out.
    """
    found = [array for array in inputs[:count] if array is not None]
    if len(found) < count:
        raise ValueError(f"it has {len(found)} inputs, not {count}")
    return found


def axes_of(node: onnx.NodeProto, inputs: Inputs, at: int = 1) -> list[int] | None:
    """The axes that a node names, as an input (since opset 13) or an attribute; else None."""
    if len(inputs) > at and inputs[at] is not None:
        return [int(axis) for axis in np.asarray(inputs[at]).reshape(-1)]
    found = attribute(node, "axes")
    return None if found is None else [int(axis) for axis in found]
