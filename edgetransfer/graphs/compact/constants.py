"""Channels that have one value everywhere, whatever the image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.graphs.compact.channels import (
    ELEMENTWISE,
    POOLING,
    Bools,
    Channels,
    Layer,
)
from edgetransfer.graphs.folding.evaluation import evaluate
from edgetransfer.graphs.graph import Array, Graph, attribute, opset_of

Values = dict[str, Array]
"""By tensor: one value a channel, (C,) float64; nan where it is not constant."""


def constant_channels(model: onnx.ModelProto, channels: Channels) -> Values:
    """The constant channels of every numbered tensor.

    A filter without weights gives its bias; an activation, a batch-norm, a sum of constants is
    constant again. A constant that is not zero is no longer one after a padded convolution: at
    the border zeros are under the kernel.
    """
    graph = Graph(model)
    layers = {layer.node.output[0]: layer for layer in channels.layers}
    found: Values = {}
    for node in model.graph.node:
        output = node.output[0]
        if output not in channels.of:
            continue
        if output in layers:
            source = node.input[0]
            inputs = found.get(source)
            if inputs is None:
                count = 1 if layers[output].depthwise else layers[output].reaches.shape[1]
                inputs = np.full(count, np.nan)
            values = _of_layer(layers[output], inputs, graph)
        else:
            values = _of_node(node, found, graph, len(channels.of[output]))
        found[output] = np.where(np.isfinite(values), values, np.nan)
    return found


def foldable(layer: Layer, inputs: Array) -> Bools:
    """Which input channels, (I,) bool, can be replaced by a change of the layer's bias."""
    without_room = layer.padded or layer.node.op_type == "MatMul"
    taken: Bools = inputs == 0 if without_room else ~np.isnan(inputs)
    return taken


def folded(layer: Layer, inputs: Array) -> Array:
    """What the foldable inputs add to every output, (O,)."""
    values = np.where(foldable(layer, inputs), inputs, 0.0)
    added: Array = layer.totals[:, 0] * values if layer.depthwise else layer.totals @ values
    return added


def bias_of(layer: Layer, graph: Graph) -> Array:
    """A layer's bias, (O,) float64; zeros where it has none."""
    stored = None if layer.bias is None else graph.array(layer.bias)
    return np.zeros(len(layer.reaches)) if stored is None else stored.astype(np.float64)


def _of_layer(layer: Layer, inputs: Array, graph: Graph) -> Array:
    known = foldable(layer, inputs)
    if layer.depthwise:
        moved = layer.reaches[:, 0] & ~known
    else:
        moved = (layer.reaches & ~known).any(axis=1)
    constant: Array = np.where(moved, np.nan, bias_of(layer, graph) + folded(layer, inputs))
    return constant


def _of_node(node: onnx.NodeProto, found: Mapping[str, Array], graph: Graph, count: int) -> Array:
    unknown = np.full(count, np.nan)
    sources = [found.get(name, unknown) for name in node.input if name not in graph.initializers]
    if node.op_type == "Concat":
        return np.concatenate([found[name] for name in node.input])
    if node.op_type == "AveragePool" and _counts_padding(node):
        return np.where(sources[0] == 0, 0.0, np.nan)
    if node.op_type in POOLING or node.op_type == "ReduceMean":
        return sources[0]
    if node.op_type == "BatchNormalization":
        return _normalised(node, sources[0], graph)
    varying = np.any([np.isnan(values) for values in sources], axis=0)
    if varying.all():
        return unknown
    return np.where(varying, np.nan, _evaluated(node, found, graph, count))


def _counts_padding(node: onnx.NodeProto) -> bool:
    return bool(attribute(node, "count_include_pad", 0)) and (
        any(attribute(node, "pads", [0])) or bool(attribute(node, "ceil_mode", 0))
    )


def _normalised(node: onnx.NodeProto, inputs: Array, graph: Graph) -> Array:
    scale, bias, mean, variance = (
        numpy_helper.to_array(graph.initializers[name]).astype(np.float64)
        for name in node.input[1:]
    )
    spread = np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    values: Array = scale * (inputs - mean) / spread + bias
    return values


def _evaluated(node: onnx.NodeProto, found: Mapping[str, Array], graph: Graph, count: int) -> Array:
    """An operator's output on its inputs' constant values, as (1, C, 1, 1); nan if unknown."""
    inputs: list[Array | None] = []
    for name in node.input:
        if not name:
            inputs.append(None)
        elif name in found:
            value = np.nan_to_num(found[name]).astype(np.float32)
            inputs.append(value.reshape(1, count, 1, 1))
        else:
            stored = numpy_helper.to_array(graph.initializers[name])
            if node.op_type in ELEMENTWISE:
                stored = stored.astype(np.float32).reshape(1, -1, 1, 1)  # one value, or C
            inputs.append(stored)
    try:
        made = evaluate(node, inputs, opset_of(graph.model))
    except ValueError:
        made = None
    if made is None:
        return np.full(count, np.nan)
    return np.broadcast_to(np.asarray(made[0], np.float64).reshape(-1), (count,))
