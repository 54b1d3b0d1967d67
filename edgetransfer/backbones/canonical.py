"""Any ONNX file, brought to the one form that the rest of the house reads.

In that form every weight is a dense initializer under its own name, the graph's inputs are
images only, and the operator set is one that all engines take (13 to 19). The file itself is
never changed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.backbones.graph import (
    Graph,
    constant_of,
    dense_of,
    fill_in,
    opset_of,
    skeleton_of,
)
from edgetransfer.errors import BackboneError

OLDEST_OPSET, NEWEST_OPSET = 13, 19  # DeepSparse 1.8 takes 11 to 19; below 13 axes are attributes
NEWEST_IR = 9

# Operators whose meaning changed, or that were born, between opsets 19 and 25. Everything else
# that a network of images uses kept its meaning, so its version number can be lowered.
CHANGED_AFTER_19 = frozenset(
    (
        *("AffineGrid", "Attention", "DFT", "DequantizeLinear", "Gelu", "GridSample"),
        *("GroupNormalization", "ImageDecoder", "Loop", "QuantizeLinear", "RMSNormalization"),
        *("RotaryEmbedding", "Scan", "Swish", "TensorScatter"),
    )
)

# Operators through which exporters pass weights before use.
FOLDED = frozenset(
    (
        *("Constant", "ConstantOfShape", "Identity", "Reshape", "Unsqueeze", "Squeeze"),
        *("Transpose", "Cast", "Concat", "Shape", "Gather", "Slice", "Add", "Sub", "Mul", "Div"),
        *("Sqrt", "Reciprocal", "Neg", "Expand", "Flatten", "Range", "Floor"),
    )
)


def load_canonical(path: Path) -> onnx.ModelProto:
    """Read an ONNX file and bring it to canonical form.

    Raises
    ------
    BackboneError
        If the file is missing, is not ONNX, or uses operators outside opsets 9 to 21 in a way
        that cannot be converted.
    """
    try:
        model = onnx.load(str(path))
    except FileNotFoundError as error:
        missing = error.filename or path
        raise BackboneError(f"{missing}: no such file (needed by the backbone {path})") from None
    except OSError as error:
        raise BackboneError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise BackboneError(f"{path}: not an ONNX file ({_one_line(error)})") from error
    for tensor in model.graph.initializer:
        if tensor.raw_data and len(tensor.raw_data) != _expected_bytes(tensor):
            raise BackboneError(
                f"{path}: the weights {tensor.name!r} are incomplete ({len(tensor.raw_data)} of "
                f"{_expected_bytes(tensor)} bytes); fetch the file and its data files again"
            )
    if not model.graph.node:
        raise BackboneError(f"{path}: an ONNX file without a graph; is it complete?")
    try:
        return canonicalise(model)
    except BackboneError as error:
        raise BackboneError(f"{path}: {error}") from error


def canonicalise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring a model that is in memory to canonical form; the argument may be changed."""
    _write_out_sparse(model)
    names = {t.name for t in model.graph.initializer}
    images_only = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(images_only)
    _drop_unused_domains(model)
    if opset_of(model) > NEWEST_OPSET:
        _lower_opset(model)
    model.ir_version = min(max(model.ir_version, 8), NEWEST_IR)
    fold_constants(model)
    del model.graph.value_info[:]
    if opset_of(model) < OLDEST_OPSET:
        model = _raise_opset(model)
        fold_constants(model)
        del model.graph.value_info[:]
    return model


def _expected_bytes(tensor: onnx.TensorProto) -> int:
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return int(np.prod(tensor.dims, dtype=np.int64)) * int(np.dtype(kind).itemsize)


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _write_out_sparse(model: onnx.ModelProto) -> None:
    for tensor in model.graph.sparse_initializer:
        dense = np.ascontiguousarray(dense_of(tensor))
        model.graph.initializer.append(numpy_helper.from_array(dense, tensor.values.name))
    del model.graph.sparse_initializer[:]


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    # DeepSparse refuses a model that imports a domain it does not know, used or not.
    used = {node.domain for node in model.graph.node} | {"", "ai.onnx"}
    kept = [o for o in model.opset_import if o.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _set_opset(model: onnx.ModelProto, version: int) -> None:
    for item in model.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = version


def _lower_opset(model: onnx.ModelProto) -> None:
    changed = [node for node in model.graph.node if node.op_type in CHANGED_AFTER_19]
    if not changed:
        _set_opset(model, NEWEST_OPSET)
    elif opset_of(model) > onnx.defs.onnx_opset_version():
        node = changed[0]
        raise BackboneError(
            f"operator {node.op_type} (node {node.name or node.output[0]!r}) of opset "
            f"{opset_of(model)} is not known here; export the model with opset 19 or lower"
        )


def _raise_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        converted = onnx.version_converter.convert_version(skeleton_of(model), OLDEST_OPSET)
    except Exception as error:
        raise BackboneError(
            f"opset {opset_of(model)} cannot be converted to {OLDEST_OPSET} "
            f"({_one_line(error)}); export the model anew with opset {OLDEST_OPSET}"
        ) from error
    fill_in(converted, model)
    return converted


def fold_constants(model: onnx.ModelProto) -> None:
    """Turn what is computed from constants alone into initializers."""
    from onnx.reference import ReferenceEvaluator

    graph = Graph(model)
    known = {t.name: t for t in model.graph.initializer}
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:
        foldable = (
            node.op_type in FOLDED
            and node.domain in ("", "ai.onnx")
            and all(name in known for name in node.input if name)
            and len(node.output) == 1
        )
        if not foldable:
            kept.append(node)
            continue
        if node.op_type == "Constant":
            try:
                value = constant_of(node)
            except ValueError:
                kept.append(node)  # a string: no weight, and no engine's business
                continue
        else:
            feeds = {n: numpy_helper.to_array(known[n]) for n in node.input if n}
            single = onnx.helper.make_graph(
                [node],
                "fold",
                [onnx.helper.make_tensor_value_info(n, known[n].data_type, None) for n in feeds],
                [onnx.helper.make_tensor_value_info(node.output[0], 0, None)],
            )
            small = onnx.helper.make_model(single, opset_imports=model.opset_import)
            value = np.asarray(ReferenceEvaluator(small).run(None, feeds)[0])
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), node.output[0])
        tensor.dims[:] = value.shape  # ascontiguousarray makes a scalar one-dimensional
        known[node.output[0]] = tensor
    needed = {name for node in kept for name in node.input} | {o.name for o in graph.proto.output}
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.initializer[:]
    model.graph.initializer.extend(t for name, t in known.items() if name in needed)
