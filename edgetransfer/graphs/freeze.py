"""A cut backbone with one fixed input shape, NCHW, and one output (batch, dimension)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import Graph, attribute, dims_of, graphs_in
from edgetransfer.graphs.propagation import Walk
from edgetransfer.graphs.rebatching import Rebatch
from edgetransfer.graphs.untrusted import refusing

INPUT, OUTPUT = "images", "features"
BATCH = "n"  # what an open batch is called
SMALLEST_SIDE, LARGEST_SIDE = 8, 4096  # pixels, as `Preprocessing` takes them
MOST_PICTURES = 1 << 16  # in a batch
Layout = Literal["NCHW", "NHWC"]


def input_layout(model: onnx.ModelProto) -> tuple[Layout, int | None]:
    """The layout of a canonical model's image input, and its side in pixels if it is fixed.

    Raises
    ------
    BackboneError
        If the model does not take one float32 batch of square RGB images.
    """
    graph = Graph(model)
    if len(graph.inputs) != 1:
        names = ", ".join(value.name for value in graph.inputs) or "none"
        raise BackboneError(f"a backbone takes one input, a batch of images; this one has: {names}")
    value = graph.inputs[0]
    if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        raise BackboneError(f"input {value.name!r} is {kind}; only float32 images are fed")
    dims = dims_of(value)
    if len(dims) != 4:
        raise BackboneError(f"input {value.name!r} has {len(dims)} dimensions, not the 4 of images")
    if dims[1] == 3 or (dims[1] is None and dims[3] != 3 and not _transposed_first(graph)):
        layout: Layout = "NCHW"
        height, width = dims[2], dims[3]
    elif dims[3] == 3 or dims[3] is None:
        layout = "NHWC"
        height, width = dims[1], dims[2]
    else:
        raise BackboneError(f"input {value.name!r} has shape {dims}: no dimension of 3 channels")
    if height is not None and width is not None and height != width:
        raise BackboneError(f"the backbone takes {height}x{width} images; only squares are fed")
    side = height if height is not None else width
    if side is not None and not SMALLEST_SIDE <= side <= LARGEST_SIDE:
        raise BackboneError(
            f"input {value.name!r} takes images of {side} pixels; {SMALLEST_SIDE} to "
            f"{LARGEST_SIDE} are fed"
        )
    return layout, side


def _transposed_first(graph: Graph) -> bool:
    readers = graph.consumers.get(graph.inputs[0].name, [])
    return any(
        node.op_type == "Transpose" and attribute(node, "perm") == [0, 3, 1, 2] for node in readers
    )


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A backbone of one input shape.

    Parameters
    ----------
    model
        With one input ``images`` and one output ``features``.
    opened
        The nodes whose built-in batch was opened in a way that wants proof.
    """

    model: onnx.ModelProto
    opened: tuple[str, ...] = ()


def freeze(body: onnx.ModelProto, *, batch_size: int, size: int) -> onnx.ModelProto:
    """Fix the input of a cut backbone to (batch_size, 3, size, size), float32, NCHW.

    The result has one input ``images`` and one output ``features`` of shape (batch_size, D);
    a spatial feature map is averaged over its positions. The argument is not changed.

    Raises
    ------
    BackboneError
        If the graph cannot take that batch or that size.
    """
    return freeze_opened(body, batch_size=batch_size, size=size).model


def freeze_opened(body: onnx.ModelProto, *, batch_size: int, size: int) -> Frozen:
    """As `freeze`, with what was opened for another batch than the one that is built in.

    Raises
    ------
    BackboneError
        If the graph cannot take that batch or that size.
    """
    _, fixed_size = input_layout(body)
    built_in = dims_of(body.graph.input[0])[0]
    if built_in is not None and built_in > MOST_PICTURES:
        raise BackboneError(f"a batch of {built_in} is built into the graph; export it with 1")
    try:
        if built_in is None or built_in == batch_size:
            try:
                return Frozen(model=_walked(body, batch_size, size).model)
            except _OtherBatchError:
                built_in = 1  # an open input before a graph that is made for one picture
        before = _walked(body, built_in, size, write=False)
        rebatch = Rebatch(before, old=built_in, new=batch_size)
        walk = _walked(body, batch_size, size, rebatch)
        return Frozen(model=walk.model, opened=tuple(rebatch.opened))
    except BackboneError as error:
        if fixed_size is not None and fixed_size != size:
            raise BackboneError(
                f"the graph does not fit {size}x{size} images: it was made for {fixed_size} "
                f"pixels, not {size} ({error})"
            ) from error
        raise


class _OtherBatchError(BackboneError):
    """The graph is made for another batch than its input says."""


def with_open_batch(body: onnx.ModelProto, *, size: int) -> onnx.ModelProto:
    """The body as `freeze` makes it, but for any number of images at once.

    Constants are left as the file has them. Whether the graph takes another batch than its own is
    for the caller to try.

    Raises
    ------
    BackboneError
        If the graph cannot take that size.
    """
    layout, _ = input_layout(body)
    built_in = dims_of(body.graph.input[0])[0] or 1
    shape = _output_shape(_walked(body, built_in, size, write=False))
    model = onnx.ModelProto()
    model.CopyFrom(body)
    for name in (INPUT, OUTPUT):
        take_name(model, name)
    del model.graph.value_info[:]
    _feed_nchw(model, layout, BATCH, size)
    _finish(model, shape, batch=BATCH)
    return model


def _walked(
    body: onnx.ModelProto,
    batch_size: int,
    size: int,
    rebatch: Rebatch | None = None,
    *,
    write: bool = True,
) -> Walk:
    """Walk along a copy of a body with a fixed input, and finish its output."""
    if any(tensor.name in (INPUT, OUTPUT) for tensor in body.graph.initializer):
        whole = onnx.ModelProto()
        whole.CopyFrom(body)
        for name in (INPUT, OUTPUT):
            take_name(whole, name)
        body = whole
    model = _without_weights(body)
    layout, _ = input_layout(model)
    _feed_nchw(model, layout, batch_size, size)
    try:
        walk = Walk(model, shaped=True, adapt=rebatch, weights=body.graph.initializer)
        with refusing():
            walk.run(write=write)
    except BackboneError as error:
        raise _OtherBatchError(
            f"the graph does not fit a batch of {batch_size} images of {size} pixels: {error}"
        ) from error
    shape = _output_shape(walk)
    if write:
        _finish(model, shape)
    if shape[0] != batch_size or math.prod(shape) < 1:
        raise _OtherBatchError(
            f"with a batch of {batch_size} the features have shape {shape}: the batch size is "
            "built into the graph; export it with an open batch"
        )
    return walk


def _without_weights(body: onnx.ModelProto) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.ir_version = body.ir_version
    model.opset_import.extend(body.opset_import)
    model.metadata_props.extend(body.metadata_props)
    graph = model.graph
    graph.name = body.graph.name or "backbone"
    for kept, source in (
        (graph.node, body.graph.node),
        (graph.input, body.graph.input),
        (graph.output, body.graph.output),
    ):
        kept.extend(source)
    return model


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
        for graph in graphs_in(node):
            for inner in graph.node:
                inner.input[:] = [new if name == old else name for name in inner.input]
            for value in graph.output:
                value.name = new if value.name == old else value.name
    for value in model.graph.value_info:
        value.name = new if value.name == old else value.name


def take_name(model: onnx.ModelProto, name: str) -> str:
    """A tensor name that the graph does not use, taking the wanted one away from others."""
    taken = {n for node in model.graph.node for n in (*node.input, *node.output)}
    taken.update(tensor.name for tensor in model.graph.initializer)
    if name in taken:
        other = next(f"{name}_{i}" for i in range(len(taken) + 1) if f"{name}_{i}" not in taken)
        _rename(model, name, other)
        for tensor in model.graph.initializer:
            if tensor.name == name:
                tensor.name = other
        for value in (*model.graph.input, *model.graph.output):
            if value.name == name:
                value.name = other
    return name


def _feed_nchw(model: onnx.ModelProto, layout: Layout, batch: int | str, size: int) -> None:
    if model.graph.input[0].name != INPUT:
        take_name(model, INPUT)
    old = model.graph.input[0].name
    shape = [batch, 3, size, size]
    value = onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, shape)
    if layout == "NCHW":
        _rename(model, old, INPUT)
    else:
        # Exports from channels-last frameworks begin with a transpose to NCHW: leave it out.
        leading = [node for node in model.graph.node if old in node.input]
        for node in leading:
            if node.op_type == "Transpose" and attribute(node, "perm") == [0, 3, 1, 2]:
                model.graph.node.remove(node)
                _rename(model, node.output[0], INPUT)
        if any(old in node.input for node in model.graph.node):
            back = onnx.helper.make_node("Transpose", [INPUT], [f"{INPUT}_nhwc"], perm=[0, 2, 3, 1])
            _rename(model, old, f"{INPUT}_nhwc")
            model.graph.node.insert(0, back)
    del model.graph.input[:]
    model.graph.input.append(value)


def _output_shape(walk: Walk) -> tuple[int, ...]:
    """The shape of the feature tensor, or the node at which it stopped being known."""
    name = walk.model.graph.output[0].name
    shape = walk.shape(name)
    if name in walk.stored:
        raise BackboneError(
            f"tensor {name!r} does not depend on the picture; choose another with --features"
        )
    if shape is not None:
        return shape
    on_the_way = {o for node in Graph(walk.model).ancestors([name]) for o in node.output}
    for stop in walk.stops:
        if on_the_way & set(stop.outputs):
            raise BackboneError(f"the shape of tensor {name!r} cannot be told: {stop.reason}")
    raise BackboneError(
        f"the shape of tensor {name!r} cannot be told from the graph; choose another with "
        "--features"
    )


def _finish(
    model: onnx.ModelProto, shape: tuple[int, ...], *, batch: int | str | None = None
) -> None:
    """Bring the output to (batch, dimension) under the name ``features``.

    ``batch`` is in place of that of the shape.
    """
    first = shape[0] if batch is None else batch
    tensor = model.graph.output[0].name
    features = first, math.prod(shape[1:2])
    if len(shape) == 4:
        if shape[2] * shape[3] > 1 and shape[1] > 1:
            steps: list[tuple[str, dict[str, int]]] = [("GlobalAveragePool", {})]
        else:
            steps, features = [], (first, math.prod(shape[1:]))
        steps.append(("Flatten", {"axis": 1}))
    elif len(shape) == 2:
        steps = []
    else:
        raise BackboneError(
            f"tensor {tensor!r} has shape {shape}: features are (batch, dimension) or "
            "(batch, channels, height, width); choose another with --features"
        )
    if tensor != OUTPUT:
        take_name(model, OUTPUT)
    if steps:
        kind = onnx.TensorProto.FLOAT
        model.graph.value_info.append(
            onnx.helper.make_tensor_value_info(tensor, kind, (first, *shape[1:]))
        )
    for index, (operator, options) in enumerate(steps):
        made = f"{OUTPUT}_step{index}"
        model.graph.node.append(onnx.helper.make_node(operator, [tensor], [made], **options))
        if index + 1 < len(steps):
            pooled = [first, shape[1], 1, 1]
            model.graph.value_info.append(onnx.helper.make_tensor_value_info(made, kind, pooled))
        tensor = made
    _rename(model, tensor, OUTPUT)
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, features)
    )
