"""What of an ONNX graph is known without an image: weights, shapes and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.errors import EngineError

Array = np.ndarray[Any, Any]


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name; tensors as arrays, text as str."""
    values: dict[str, Any] = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        elif isinstance(value, onnx.SparseTensorProto):
            value = dense_array(value)
        values[attribute.name] = value
    return values


def dense_array(tensor: onnx.SparseTensorProto) -> Array:
    """A sparse tensor as an array with its zeros."""
    values = numpy_helper.to_array(tensor.values)
    indices = numpy_helper.to_array(tensor.indices)
    dense = np.zeros(tuple(tensor.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def initial_constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """The initializers, dense and sparse, as arrays."""
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for tensor in graph.sparse_initializer:
        constants[tensor.values.name] = dense_array(tensor)
    return constants


def _gather(a: Mapping[str, Any], x: Array, indices: Array) -> Array:
    return np.take(x, indices, axis=a.get("axis", 0))


def _unsqueeze(a: Mapping[str, Any], x: Array, axes: Array | None = None) -> Array:
    wanted = a["axes"] if axes is None else axes.tolist()
    return np.expand_dims(x, tuple(int(i) for i in wanted))


def _squeeze(a: Mapping[str, Any], x: Array, axes: Array | None = None) -> Array:
    wanted = a.get("axes") if axes is None else axes.tolist()
    return np.squeeze(x, None if wanted is None else tuple(int(i) for i in wanted))


def _slice(a: Mapping[str, Any], x: Array, *bounds: Array) -> Array:
    starts, ends, axes, steps = (
        [*(b.tolist() for b in bounds), None, None][:4]
        if bounds
        else (a["starts"], a["ends"], a.get("axes"), None)
    )
    cut = [slice(None)] * x.ndim
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        cut[axes[i] if axes else i] = slice(start, end, steps[i] if steps else 1)
    return x[tuple(cut)]


def _reshape(a: Mapping[str, Any], x: Array, shape: Array) -> Array:
    kept = [x.shape[i] if d == 0 and not a.get("allowzero") else d for i, d in enumerate(shape)]
    return x.reshape([int(d) for d in kept])


def _cast(a: Mapping[str, Any], x: Array) -> Array:
    return x.astype(onnx.helper.tensor_dtype_to_np_dtype(a["to"]))


def _fill(a: Mapping[str, Any], shape: Array) -> Array:
    value = a.get("value", np.zeros(1, np.float32))
    return np.full(tuple(int(d) for d in shape), value.reshape(-1)[0], value.dtype)


def _constant(a: Mapping[str, Any]) -> Array:
    for name in ("value", "sparse_value"):
        if name in a:
            return np.asarray(a[name])
    for name in ("value_float", "value_floats"):
        if name in a:
            return np.asarray(a[name], np.float32)
    return np.asarray(a.get("value_int", a.get("value_ints")), np.int64)


def _divide(a: Mapping[str, Any], x: Array, y: Array) -> Array:
    return x // y if np.issubdtype(x.dtype, np.integer) else x / y


# Operators that are worked out on arrays; each takes its attributes first.
EVALUATED: dict[str, Callable[..., Array]] = {
    "Constant": _constant,
    "ConstantOfShape": _fill,
    "Identity": lambda a, x: x,
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Reshape": _reshape,
    "Cast": _cast,
    "Concat": lambda a, *xs: np.concatenate(xs, axis=a.get("axis", 0)),
    "Transpose": lambda a, x: np.transpose(x, a.get("perm")),
    "Shape": lambda a, x: np.array(x.shape, np.int64)[a.get("start", 0) : a.get("end")],
    "Add": lambda a, x, y: x + y,
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Div": _divide,
    "Sqrt": lambda a, x: np.sqrt(x),
}


def evaluate(node: onnx.NodeProto, inputs: list[Array]) -> Array:
    """The output of a node all of whose inputs are constants.

    Raises
    ------
    EngineError
        If the operator is not among those that are worked out, or does not fit its inputs.
    """
    function = EVALUATED.get(node.op_type)
    if function is None:
        raise EngineError(f"it does not know the operator {node.op_type} on constants")
    try:
        return np.asarray(function(attributes_of(node), *inputs))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise EngineError(f"{node.op_type} does not fit its inputs: {error}") from error
