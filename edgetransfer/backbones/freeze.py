"""A cut backbone with one fixed input shape, NCHW, and one output (batch, dimension)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.backbones.canonical import fold_constants
from edgetransfer.backbones.graph import Graph, attribute, dims_of, skeleton_of
from edgetransfer.errors import BackboneError

INPUT, OUTPUT = "images", "features"
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
    return layout, height if height is not None else width


def _transposed_first(graph: Graph) -> bool:
    readers = graph.consumers.get(graph.inputs[0].name, [])
    return any(
        node.op_type == "Transpose" and attribute(node, "perm") == [0, 3, 1, 2] for node in readers
    )


def freeze(body: onnx.ModelProto, *, batch_size: int, size: int) -> onnx.ModelProto:
    """Fix the input of a cut backbone to (batch_size, 3, size, size), float32, NCHW.

    The result has one input ``images`` and one output ``features`` of shape (batch_size, D);
    a spatial feature map is averaged over its positions. The argument is not changed.

    Raises
    ------
    BackboneError
        If the graph cannot take that batch or that size.
    """
    model = onnx.ModelProto()
    model.CopyFrom(body)
    layout, fixed_size = input_layout(model)
    old_batch = dims_of(model.graph.input[0])[0]
    if old_batch is not None and old_batch != batch_size:
        _free_reshapes(model, old_batch)
    _feed_nchw(model, layout, batch_size, size)
    _infer_shapes(model, fixed_size, size)
    while _fold_shapes(model):
        _infer_shapes(model, fixed_size, size)
    _check_reshapes(model, fixed_size, size, batch_size)
    _finish(model, _output_shape(model))
    _infer_shapes(model, fixed_size, size)
    rows, columns = _output_shape(model)
    if rows != batch_size or columns < 1:
        raise BackboneError(
            f"with a batch of {batch_size} the features have shape {(rows, columns)}: the batch "
            "size is built into the graph; export it with a batch of 1 or an open batch"
        )
    return model


def _free_reshapes(model: onnx.ModelProto, old_batch: int) -> None:
    """Let every Reshape that spells out the old batch keep its input's batch instead."""
    graph = Graph(model)
    added = 0
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[0] in graph.constants:
            continue
        target = graph.array(node.input[1])
        if target is None or target.ndim != 1 or not target.size or attribute(node, "allowzero", 0):
            continue
        # (1, -1) on a single image would merge the batch into one row.
        if target[0] == old_batch:
            target = target.copy()
            target[0] = 0  # ONNX: keep the input's dimension
            name = f"{node.output[0]}/shape"
            model.graph.initializer.append(numpy_helper.from_array(target.astype(np.int64), name))
            node.input[1] = name
            added += 1
    if added:
        _drop_unused_initializers(model)


def _drop_unused_initializers(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [t for t in model.graph.initializer if t.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _fresh(model: onnx.ModelProto, name: str) -> str:
    """A tensor name that the graph does not use, taking the wanted one away from others."""
    taken = {n for node in model.graph.node for n in (*node.input, *node.output)}
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


def _feed_nchw(model: onnx.ModelProto, layout: Layout, batch_size: int, size: int) -> None:
    if model.graph.input[0].name != INPUT:
        _fresh(model, INPUT)
    old = model.graph.input[0].name
    shape = [batch_size, 3, size, size]
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


def _infer_shapes(model: onnx.ModelProto, fixed_size: int | None, size: int) -> None:
    """Write the shapes of all tensors into a model."""
    try:
        inferred = onnx.shape_inference.infer_shapes(
            skeleton_of(model), strict_mode=True, data_prop=True
        )
    except Exception as error:
        other = fixed_size is not None and fixed_size != size
        hint = f"it was made for {fixed_size} pixels, not {size}" if other else str(error).strip()
        raise BackboneError(
            f"the graph does not fit a batch of {size}x{size} images: {hint}"
        ) from error
    for values, found in (
        (model.graph.value_info, inferred.graph.value_info),
        (model.graph.output, inferred.graph.output),
    ):
        del values[:]
        values.extend(found)


def _known_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """The shapes of tensors that are known in every dimension."""
    found = {t.name: list(t.dims) for t in model.graph.initializer}
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        dims = [d for d in dims_of(value) if d is not None]
        if value.type.tensor_type.HasField("shape") and len(dims) == len(dims_of(value)):
            found[value.name] = dims
    return found


def _fold_shapes(model: onnx.ModelProto) -> bool:
    """Compute what depends on shapes alone, as in torch's ``x.view(x.size(0), -1)``."""
    shapes = _known_shapes(model)
    found = [
        node
        for node in model.graph.node
        if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute
    ]
    for node in found:
        value = np.array(shapes[node.input[0]], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        model.graph.node.remove(node)
    if found:
        fold_constants(model)
    return bool(found)


def _check_reshapes(
    model: onnx.ModelProto, fixed_size: int | None, size: int, batch_size: int
) -> None:
    """Shape inference believes a Reshape whose target has another number of elements."""
    shapes = _known_shapes(model)
    for node in model.graph.node:
        if node.op_type == "Reshape" and {node.input[0], node.output[0]} <= set(shapes):
            before, after = shapes[node.input[0]], shapes[node.output[0]]
            if np.prod(before) != np.prod(after):
                if fixed_size is not None and fixed_size != size:
                    reason = f"it was made for {fixed_size} pixels, not {size}"
                else:
                    reason = "it takes another batch or another size"
                raise BackboneError(
                    f"the graph does not fit a batch of {batch_size} images of {size} pixels: "
                    f"{reason} (it reshapes {before} to {after}, tensor {node.output[0]!r})"
                )


def _output_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    output = model.graph.output[0]
    known = {v.name: v for v in (*model.graph.value_info, *model.graph.output)}
    dims = dims_of(known[output.name])
    if not dims or any(d is None for d in dims):
        raise BackboneError(
            f"the shape of tensor {output.name!r} cannot be told from the graph ({dims}); choose "
            "another with --features"
        )
    return tuple(d for d in dims if d is not None)


def _finish(model: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    """Bring the output to (batch, dimension) under the name ``features``."""
    tensor = model.graph.output[0].name
    if len(shape) == 4:
        steps: list[tuple[str, dict[str, int]]] = []
        if shape[2] * shape[3] > 1 and shape[1] > 1:
            steps.append(("GlobalAveragePool", {}))
        steps.append(("Flatten", {"axis": 1}))
    elif len(shape) == 2:
        steps = []
    else:
        raise BackboneError(
            f"tensor {tensor!r} has shape {shape}: features are (batch, dimension) or "
            "(batch, channels, height, width); choose another with --features"
        )
    if tensor != OUTPUT:
        _fresh(model, OUTPUT)
    for index, (operator, options) in enumerate(steps):
        made = f"{OUTPUT}_step{index}"
        model.graph.node.append(onnx.helper.make_node(operator, [tensor], [made], **options))
        tensor = made
    _rename(model, tensor, OUTPUT)
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, None)
    )
