"""Batch-norm put back behind convolutions that have it folded in, and folded again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.graphs.graph import Array, Graph, attribute

EPSILON = 1e-5

Statistics = Mapping[str, tuple[Array, Array]]
"""Weights of a convolution, by name, to mean and variance of the channels of its output, (C,)
float32 each."""


def bare_convolutions(model: onnx.ModelProto) -> dict[str, str]:
    """Weights and output tensor of convolutions that no batch-norm follows."""
    graph = Graph(model)
    return {
        node.input[1]: node.output[0]
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.input[1] in graph.initializers
        and len(graph.consumers[node.input[1]]) == 1
        and all(
            reader.op_type != "BatchNormalization"
            for reader in graph.consumers.get(node.output[0], [])
        )
    }


def restore(model: onnx.ModelProto, statistics: Statistics) -> onnx.ModelProto:
    """A copy with a batch-norm behind some convolutions that changes nothing at first.

    Its statistics are those of the convolution's output, its scale is their standard deviation
    and its shift their mean, so that in evaluation it is the identity.

    Parameters
    ----------
    statistics
        Of the convolutions that get one.
    """
    restored = onnx.ModelProto()
    restored.CopyFrom(model)
    del restored.graph.node[:]
    for node in model.graph.node:
        copy = restored.graph.node.add()
        copy.CopyFrom(node)
        out, weights = node.output[0], node.input[1] if len(node.input) > 1 else ""
        if node.op_type != "Conv" or weights not in statistics:
            continue
        mean, var = (np.asarray(v, np.float32) for v in statistics[weights])
        copy.output[0] = f"{out}/before_bn"
        parameters = {"scale": np.sqrt(var + EPSILON), "shift": mean, "mean": mean, "var": var}
        names = [f"{weights}/bn_{key}" for key in parameters]
        restored.graph.initializer.extend(
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in zip(names, parameters.values(), strict=True)
        )
        restored.graph.node.append(
            onnx.helper.make_node(
                "BatchNormalization", [copy.output[0], *names], [out], epsilon=EPSILON
            )
        )
    return restored


def fold(model: onnx.ModelProto, *, only: frozenset[str] | None = None) -> onnx.ModelProto:
    """A copy in which each batch-norm right behind a convolution is part of it.

    w' = w * scale / sqrt(var + epsilon), so a zero stays a zero.

    Parameters
    ----------
    only
        The weights of the convolutions that this is done to; all if None.
    """
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph = Graph(model)
    tensors = {t.name: t for t in folded.graph.initializer}
    kept: list[onnx.NodeProto] = []
    by_output: dict[str, onnx.NodeProto] = {}
    outputs = {value.name for value in model.graph.output}
    for node in folded.graph.node:
        conv = by_output.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        wanted = conv is not None and (only is None or conv.input[1] in only)
        if conv is None or not wanted or not _foldable(graph, conv, node, outputs):
            kept.append(node)
            by_output[node.output[0]] = node
            continue
        weights, bias = _folded_values(graph, conv, node)
        tensors[conv.input[1]].CopyFrom(numpy_helper.from_array(weights, conv.input[1]))
        if len(conv.input) > 2 and conv.input[2]:
            tensors[conv.input[2]].CopyFrom(numpy_helper.from_array(bias, conv.input[2]))
        else:
            name = f"{conv.input[1]}/folded_bias"
            del conv.input[2:]
            conv.input.append(name)
            folded.graph.initializer.append(numpy_helper.from_array(bias, name))
        conv.output[0] = node.output[0]
        by_output[conv.output[0]] = conv
    del folded.graph.node[:]
    folded.graph.node.extend(kept)
    _drop_unused(folded)
    return folded


def _foldable(graph: Graph, conv: onnx.NodeProto, norm: onnx.NodeProto, outputs: set[str]) -> bool:
    """Whether nobody else reads the convolution's output, weights or bias."""
    if conv.op_type != "Conv" or conv.output[0] in outputs:
        return False
    own = [name for name in conv.input[1:] if name]
    return (
        len(graph.consumers[norm.input[0]]) == 1
        and all(name in graph.initializers for name in (*own, *norm.input[1:]))
        and all(len(graph.consumers[name]) == 1 for name in own)
    )


def _folded_values(graph: Graph, conv: onnx.NodeProto, norm: onnx.NodeProto) -> tuple[Array, Array]:
    scale, shift, mean, var = (_float64(graph, name) for name in norm.input[1:5])
    weights = _float64(graph, conv.input[1])
    has_bias = len(conv.input) > 2 and conv.input[2]
    bias = _float64(graph, conv.input[2]) if has_bias else np.zeros(len(weights))
    factor = scale / np.sqrt(var + attribute(norm, "epsilon", 1e-5))
    moved = weights * factor.reshape(-1, *[1] * (weights.ndim - 1))
    return (
        _keeping_zeros(weights, moved),
        ((bias - mean) * factor + shift).astype(np.float32),
    )


def _keeping_zeros(before: Array, after: Array) -> Array:
    """In float32, without new zeros: a weight that underflows keeps the smallest value."""
    result = after.astype(np.float32)
    lost = (before != 0) & (result == 0)
    result[lost] = np.finfo(np.float32).tiny
    return result


def _float64(graph: Graph, name: str) -> Array:
    value = graph.array(name)
    assert value is not None
    return value.astype(np.float64)


def _drop_unused(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [t for t in model.graph.initializer if t.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
