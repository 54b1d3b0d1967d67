"""A network's weights in fewer bits, so that its packed form is small."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.types import Float32Array

LEVELS = 127  # on either side of zero
SCALE_BITS = 11  # of a channel's step: integer times step is exact in float32
SHORTEST = 64  # weights a channel; shorter ones gain nothing by a step of their own


def rounded(model: onnx.ModelProto, *, integers: bool = False) -> onnx.ModelProto:
    """A copy whose float32 initializers hold float16 values; zeros stay zeros.

    Parameters
    ----------
    integers
        Whether weights of at least `SHORTEST` numbers an output channel become multiples of a
        step, from -127 to 127, each channel with its own.

    Raises
    ------
    BackboneError
        If a weight is too large for float16.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if integers and in_channels(values):
            found = _to_steps(values)
        else:
            with np.errstate(over="ignore"):
                found = values.astype(np.float16).astype(np.float32)
        if not np.isfinite(found).all():
            raise BackboneError(f"the weights {tensor.name!r} are too large for float16")
        tensor.CopyFrom(numpy_helper.from_array(found, tensor.name))
    return copy


def in_channels(values: Float32Array) -> bool:
    """Whether a tensor is one of weights whose output channels are long enough for steps."""
    return values.ndim >= 2 and len(values) > 0 and values.size // len(values) >= SHORTEST


def _to_steps(values: Float32Array) -> Float32Array:
    rows = values.reshape(len(values), -1)
    largest = np.abs(rows).max(axis=1).astype(np.float64)
    mantissas, exponents = np.frexp(largest / LEVELS)
    steps = np.ldexp(np.ceil(np.ldexp(mantissas, SCALE_BITS)), exponents - SCALE_BITS)
    steps = steps.astype(np.float32)[:, None]
    whole = np.rint(np.divide(rows, steps, out=np.zeros_like(rows), where=steps > 0))
    exact: Float32Array = (whole * steps).reshape(values.shape) + np.float32(0)  # no minus zero
    return exact


def as_steps(values: Float32Array) -> tuple[Float32Array, NDArray[np.int8]] | None:
    """The steps, (rows,), and whole numbers, (rows, columns), that a tensor is the product of.

    None where it is not, to the bit: what `rounded` made with ``integers`` is.
    """
    if not in_channels(values) or not np.isfinite(values).all():
        return None
    rows = values.reshape(len(values), -1)
    steps = np.abs(rows).max(axis=1) / np.float32(LEVELS)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        whole = np.nan_to_num(np.rint(rows / steps[:, None]))
    numbers = np.clip(whole, -LEVELS, LEVELS).astype(np.int8)
    same = from_steps(steps, numbers).view(np.uint32) == rows.view(np.uint32)
    return (steps, numbers) if bool(same.all()) else None


def from_steps(steps: Float32Array, numbers: NDArray[np.int8]) -> Float32Array:
    """Steps (rows,) times whole numbers (rows, columns), float32."""
    product: Float32Array = numbers.astype(np.float32) * steps[:, None]
    return product
