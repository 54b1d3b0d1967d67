"""A float graph as one that engines multiply in int8: quantise and dequantise before each layer.

Static, after training (Nagel et al., "A white paper on neural network quantization", 2021, section
3): activations unsigned with a scale and a zero point a tensor, weights signed and symmetric with a
scale a filter. Engines that know int8 join each pair with the layer behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgetransfer.graphs.graph import Array, Graph

LEAST_OPSET = 13  # that has a scale a filter
WITH_WEIGHTS = ("Conv", "Gemm")
DETOURED = (*WITH_WEIGHTS, "Add", "GlobalAveragePool")
TINY = 1e-8
Range = tuple[float, float]


def in_int8(
    model: onnx.ModelProto, ranges: Mapping[str, Range], *, weight_bits: int = 8
) -> onnx.ModelProto:
    """A frozen graph with its convolutions and fully connected layers in int8.

    Parameters
    ----------
    ranges
        The lowest and the highest value of each tensor that is not constant, as calibration saw
        it; a tensor without one stays in float.
    weight_bits
        7 where the processor adds pairs of products in 16 bits, which 8 would overflow: those
        without VNNI.
    """
    return _Quantiser(model, ranges, 2 ** (weight_bits - 1) - 1).quantised()


def quantised_tensors(model: onnx.ModelProto) -> list[str]:
    """The tensors whose ranges `in_int8` needs, each once, in graph order."""
    graph = Graph(model)
    names = {
        name: None
        for node in model.graph.node
        if node.op_type in DETOURED
        for name in _data_inputs(node)
        if graph.array(name) is None
    }
    return list(names)


def _data_inputs(node: onnx.NodeProto) -> list[str]:
    return [node.input[0]] if node.op_type in WITH_WEIGHTS else list(node.input)


class _Quantiser:
    """Writes one graph anew."""

    def __init__(self, model: onnx.ModelProto, ranges: Mapping[str, Range], most: int) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self._graph = Graph(model)
        self._ranges = ranges
        self._most = most
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[str, str] = {}

    def quantised(self) -> onnx.ModelProto:
        graph = self._model.graph
        for original in list(graph.node):
            node = onnx.NodeProto()
            node.CopyFrom(original)
            if node.op_type in DETOURED:
                self._with_detours(node)
            self._nodes.append(node)
        del graph.node[:]
        graph.node.extend(self._nodes)
        read = {name for node in graph.node for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        for opset in self._model.opset_import:
            if opset.domain in ("", "ai.onnx"):
                opset.version = max(opset.version, LEAST_OPSET)
        return self._model

    def _with_detours(self, node: onnx.NodeProto) -> None:
        data = _data_inputs(node)
        for at, name in enumerate(node.input):
            if name in data and name in self._ranges:
                node.input[at] = self._activation(name)
        if node.op_type in WITH_WEIGHTS and node.input[0] not in data:
            weights = self._graph.array(node.input[1])
            if weights is not None and weights.dtype == np.float32:
                node.input[1] = self._weights(node.input[1], weights, _filter_axis(node))

    def _activation(self, name: str) -> str:
        if name not in self._made:
            low, high = min(self._ranges[name][0], 0.0), max(self._ranges[name][1], 0.0)
            scale = max(high - low, TINY) / 255
            zero = np.asarray(np.clip(round(-low / scale), 0, 255), np.uint8)
            self._made[name] = self._detour(name, np.asarray(scale, np.float32), zero)
        return self._made[name]

    def _weights(self, name: str, weights: Array, axis: int) -> str:
        key = f"{name}/filters{axis}"
        if key not in self._made:
            others = tuple(i for i in range(weights.ndim) if i != axis)
            scale = (
                np.maximum(np.abs(weights).max(axis=others), TINY).astype(np.float32) / self._most
            )
            shaped = scale.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
            whole = np.clip(np.round(weights / shaped), -self._most, self._most).astype(np.int8)
            stored = self._kept(f"{key}/int8", whole)
            inputs = [stored, self._kept(f"{key}/scale", scale)]
            inputs.append(self._kept(f"{key}/zero", np.zeros(scale.shape, np.int8)))
            output = f"{key}/float"
            self._nodes.append(
                helper.make_node("DequantizeLinear", inputs, [output], name=output, axis=axis)
            )
            self._made[key] = output
        return self._made[key]

    def _detour(self, name: str, scale: Array, zero: Array) -> str:
        ends = [self._kept(f"{name}/scale", scale), self._kept(f"{name}/zero", zero)]
        small, back = f"{name}/uint8", f"{name}/back"
        self._nodes.append(helper.make_node("QuantizeLinear", [name, *ends], [small], name=small))
        self._nodes.append(helper.make_node("DequantizeLinear", [small, *ends], [back], name=back))
        return back

    def _kept(self, name: str, value: Array) -> str:
        self._model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def _filter_axis(node: onnx.NodeProto) -> int:
    """Which axis of a layer's weights has a place for each output."""
    if node.op_type == "Conv":
        return 0
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else 1
