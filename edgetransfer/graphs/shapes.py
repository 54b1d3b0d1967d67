"""The shape and kind of what one node makes, by the onnx library's rules for that one node.

Node by node, so that the first one that stops is known by name, and after checks of our own:
some releases divide by a stride of 0 or read past the end of weights of other dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import LARGE, STANDARD, Array, attribute, label, reads
from edgetransfer.graphs.structure import LARGEST_WINDOW, WINDOWED
from edgetransfer.graphs.untrusted import one_line


@dataclass(frozen=True)
class Kind:
    """What is known of a tensor.

    Parameters
    ----------
    element
        The number of its element type in `onnx.TensorProto`; 0 if it is not known.
    shape
        None if it is not known in every dimension.
    """

    element: int
    shape: tuple[int, ...] | None


def kind_of(value: onnx.ValueInfoProto) -> Kind | None:
    """What a declaration says; None if it is no tensor."""
    if not value.type.HasField("tensor_type"):
        return None
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or any(not d.HasField("dim_value") for d in tensor.shape.dim):
        return Kind(tensor.elem_type, None)
    return Kind(tensor.elem_type, tuple(int(d.dim_value) for d in tensor.shape.dim))


def declared(name: str, kind: Kind) -> onnx.ValueInfoProto:
    """The declaration of a tensor."""
    return onnx.helper.make_tensor_value_info(name, kind.element, kind.shape)


def tensor_of(name: str, value: Array) -> onnx.TensorProto:
    """A stored tensor."""
    # ascontiguousarray makes a scalar one-dimensional.
    contiguous = np.ascontiguousarray(value).reshape(value.shape)
    tensor: onnx.TensorProto = numpy_helper.from_array(contiguous, name)
    return tensor


def single_node(
    node: onnx.NodeProto, inputs: list[Array | None], opset: int
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A model of one node whose inputs are given, and what to feed it."""
    feeds = {n: a for n, a in zip(node.input, inputs, strict=True) if n and a is not None}
    kinds = {
        name: Kind(onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    }
    small = {name: array for name, array in feeds.items() if array.size <= LARGE}
    model = _model(node, kinds, small, [onnx.helper.make_opsetid("", opset)])
    model.graph.output.extend(onnx.ValueInfoProto(name=out) for out in node.output if out)
    return model, {name: feeds[name] for name in feeds if name not in small}


def infer_single(model: onnx.ModelProto) -> list[Kind | None]:
    """What each output of a model of one node is; None where nothing is known.

    Raises
    ------
    BackboneError
        If the inputs do not fit the node.
    """
    node = model.graph.node[0]
    try:
        found = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except Exception as error:
        # The last line says what does not fit; the others repeat where.
        reason = str(error).strip().splitlines()[-1:] or [one_line(error)]
        raise BackboneError(f"node {label(node)}: {reason[0][-200:]}") from error
    kinds = {v.name: kind_of(v) for v in (*found.graph.value_info, *found.graph.output)}
    return [kinds.get(name) for name in node.output]


def infer(
    node: onnx.NodeProto,
    kinds: Mapping[str, Kind],
    values: Mapping[str, Array],
    opsets: Iterable[onnx.OperatorSetIdProto],
) -> list[Kind | None]:
    """What each output of a node is, from what is known of its inputs.

    Parameters
    ----------
    values
        Small constants, from which shapes are computed.

    Raises
    ------
    BackboneError
        If the inputs do not fit the node.
    """
    if node.domain not in STANDARD:
        return [None for _ in node.output]
    if node.op_type in WINDOWED:
        _check_windows(node, [kinds.get(name) for name in node.input])
    found = infer_single(_model(node, kinds, values, opsets))
    if node.op_type == "Reshape":
        _check_reshape(node, kinds.get(node.input[0]), found[0])
    return found


def _check_reshape(node: onnx.NodeProto, before: Kind | None, after: Kind | None) -> None:
    """The library believes a target with another number of elements."""
    if before is None or after is None or before.shape is None or after.shape is None:
        return
    if math.prod(before.shape) != math.prod(after.shape):
        raise BackboneError(
            f"node {label(node)} reshapes {[*before.shape]} to {[*after.shape]}: it takes another "
            "batch or another size"
        )


def _model(
    node: onnx.NodeProto,
    kinds: Mapping[str, Kind],
    values: Mapping[str, Array],
    opsets: Iterable[onnx.OperatorSetIdProto],
) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.ir_version = 8
    model.opset_import.extend(opsets)
    graph = model.graph
    graph.name = "one"
    graph.node.append(node)
    for name in dict.fromkeys(reads(node)):
        if name in values:
            graph.initializer.append(tensor_of(name, values[name]))
        elif name in kinds:
            graph.input.append(declared(name, kinds[name]))
        else:
            graph.input.append(onnx.ValueInfoProto(name=name))
    return model


def _check_windows(node: onnx.NodeProto, inputs: list[Kind | None]) -> None:
    """Convolutions and poolings of images: four dimensions, and a window that fits."""
    weights_at = {"QLinearConv": 3}.get(node.op_type, 1) if "Conv" in node.op_type else None
    image = inputs[0] if inputs else None
    if image is None or image.shape is None:
        return
    shape = image.shape
    if len(shape) < 3:
        raise BackboneError(f"node {label(node)} gets a tensor of shape {[*shape]}, no image")
    spatial = len(shape) - 2
    kernel = attribute(node, "kernel_shape")
    if weights_at is not None and len(inputs) > weights_at:
        weights = inputs[weights_at]
        if weights is not None and weights.shape is not None:
            _check_weights(node, shape, weights.shape)
            kernel = kernel or list(weights.shape[2:])
    lengths = {len(attribute(node, name) or kernel or ()) for name in ("strides", "dilations")} | (
        {len(kernel)} if kernel else set()
    )
    pads = attribute(node, "pads") or [0] * 2 * spatial
    if lengths != {spatial} or len(pads) != 2 * spatial:
        raise BackboneError(
            f"node {label(node)}: its window has another number of dimensions than its input "
            f"of shape {[*shape]}"
        )
    padded = [d + pads[i] + pads[i + spatial] for i, d in enumerate(shape[2:])]
    dilations = attribute(node, "dilations") or [1] * spatial
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel or [], strict=True)]
    if max(padded) > LARGEST_WINDOW:
        raise BackboneError(f"node {label(node)} pads its input to {padded} pixels")
    automatic = attribute(node, "auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    if "Transpose" in node.op_type or "Unpool" in node.op_type or automatic:
        return
    if any(r > p for r, p in zip(reach, padded, strict=True)):
        raise BackboneError(
            f"node {label(node)}: a window of {reach} pixels does not fit an input of {padded}"
        )


def _check_weights(node: onnx.NodeProto, image: tuple[int, ...], weights: tuple[int, ...]) -> None:
    kernel = attribute(node, "kernel_shape")
    fits = len(weights) == len(image) and (not kernel or list(weights[2:]) == list(kernel))
    if fits and "Transpose" not in node.op_type:
        group = attribute(node, "group", 1)
        fits = weights[1] * group == image[1] and weights[0] % group == 0
    if not fits:
        raise BackboneError(
            f"node {label(node)}: weights of shape {[*weights]} do not fit an input of shape "
            f"{[*image]}"
        )
