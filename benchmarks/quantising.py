"""A convolutional float graph in int8, in the forms that engines may or may not accelerate.

Post-training and static: activations unsigned with one scale a tensor, weights signed and symmetric
(so that zeros stay zeros), biases int32. The ranges come from one seeded random batch: right for
speed, worthless for accuracy.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Form = Literal[
    "qdq", "qdq-channel", "qlinear", "qlinear-float", "convinteger", "convinteger-tensor"
]
FORMS: tuple[Form, ...] = (
    "qdq", "qdq-channel", "qlinear", "qlinear-float", "convinteger", "convinteger-tensor",
)  # fmt: skip


def activations(model: onnx.ModelProto) -> dict[str, tuple[np.float32, np.uint8]]:
    """Scale and zero point of every tensor, from one random batch."""
    import onnxruntime

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [name for node in probe.graph.node for name in node.output]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    source = session.get_inputs()[0]
    images = np.random.default_rng(0).standard_normal(source.shape, np.float32)
    found = {}
    for name, values in zip(
        (source.name, *names), (images, *session.run(names, {source.name: images})), strict=True
    ):
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 1e-6)
        scale = (high - low) / 255
        found[name] = np.float32(scale), np.uint8(round(-low / scale))
    return found


class Quantiser:
    """Rewrites one graph; each tensor is kept in float, in uint8, or in both where needed."""

    def __init__(self, model: onnx.ModelProto, form: Form) -> None:
        self.form = form
        self.ranges = activations(model)
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.floats = {model.graph.input[0].name: model.graph.input[0].name}
        self.bytes: dict[str, str] = {}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def quantised(self) -> onnx.ModelProto:
        """The graph in int8."""
        done: set[str] = set()
        for node in self.model.graph.node:
            if node.output[0] not in done:
                done.add(self._rewrite(node))
        graph = self.model.graph
        self._add("Identity", [self._float(graph.output[0].name)], graph.output[0].name + "/float")
        self._rename_output(graph.output[0].name)
        del graph.node[:]
        graph.node.extend(self.nodes)
        del graph.initializer[:], graph.value_info[:]
        used = {name for node in self.nodes for name in node.input}
        values = {n: a for n, a in {**self.arrays, **self.constants}.items() if n in used}
        graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in values.items())
        if self.form == "qlinear":
            self.model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        return self.model

    def _rename_output(self, name: str) -> None:
        for node in self.nodes:
            node.output[:] = [f"{o}/inner" if o == name else o for o in node.output]
            node.input[:] = [f"{i}/inner" if i == name else i for i in node.input]
        self.nodes[-1].output[0] = name

    def _rewrite(self, node: onnx.NodeProto) -> str:
        """Write one node, with a ReLU that alone reads it; returns the tensor that it made."""
        out, relu = node.output[0], False
        readers = self.readers.get(out, [])
        if node.op_type in ("Conv", "Add") and [r.op_type for r in readers] == ["Relu"]:
            out, relu = readers[0].output[0], True
        if self.form.startswith("qdq"):
            self._float_node(node, out, relu)
        elif node.op_type == "Conv":
            self._convolution(node, out, relu)
        elif node.op_type == "Add" and self.form == "qlinear":
            sides = [part for name in node.input for part in (self._byte(name), *self._scale(name))]
            self._add("QLinearAdd", [*sides, *self._scale(out)], f"{out}/u8", "com.microsoft")
            self.bytes[out] = f"{out}/u8"
        elif node.op_type == "MaxPool":
            self._copy(node, [self._byte(node.input[0])], f"{out}/u8")
            self.bytes[out] = f"{out}/u8"
            self.ranges[out] = self.ranges[node.input[0]]
        else:
            self._float_node(node, out, relu)
        return out

    def _float_node(self, node: onnx.NodeProto, out: str, relu: bool) -> None:
        """The operator in float; in quantise-dequantise form its inputs make the detour."""
        inputs = [n if n in self.arrays else self._float(n) for n in node.input]
        if self.form.startswith("qdq") and node.op_type in ("Conv", "Add", "GlobalAveragePool"):
            inputs = [n if n in self.arrays else self._detour(n) for n in node.input]
            if node.op_type == "Conv":
                named, scale, zero, axis = self._weights(node, self.form == "qdq-channel")
                inputs[1] = self._add(
                    "DequantizeLinear", [named, scale, zero], f"{named}/float", axis=axis
                )
        self._copy(node, inputs, f"{out}/sum" if relu else out)
        if relu:
            self._add("Relu", [f"{out}/sum"], out)
        self.floats[out] = out

    def _convolution(self, node: onnx.NodeProto, out: str, relu: bool) -> None:
        weights, w_scale, w_zero, _ = self._weights(node, self.form != "convinteger-tensor")
        x, (x_scale, x_zero) = self._byte(node.input[0]), self._scale(node.input[0])
        scale = self.constants[x_scale] * self.constants[w_scale]
        bias = self._keep(f"{out}/bias", np.round(self.arrays[node.input[2]] / scale))
        wide = self.constants[bias].astype(np.int32)
        self.constants[bias] = wide
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        y_scale, y_zero = self._scale(out)
        self.bytes[out] = f"{out}/u8"
        if not self.form.startswith("convinteger"):
            inputs = [x, x_scale, x_zero, weights, w_scale, w_zero, y_scale, y_zero, bias]
            self._add("QLinearConv", inputs, f"{out}/u8", **options)
            return
        # ConvInteger takes one zero point for all weights, and engines take unsigned ones alone.
        shifted = self.constants[weights].astype(np.int16) + 128
        weights = self._keep(f"{weights}/u8", shifted.astype(np.uint8))
        zero = self._keep(f"{weights}/zero", np.uint8(128))
        value = self._add("ConvInteger", [x, weights, x_zero, zero], f"{out}/int", **options)
        self.constants[bias] = wide.reshape(1, -1, 1, 1)
        value = self._add("Add", [value, bias], f"{out}/biased")
        value = self._add("Cast", [value], f"{out}/cast", to=TensorProto.FLOAT)
        rescale = self._keep(f"{out}/rescale", scale.reshape(1, -1, 1, 1).astype(np.float32))
        if self.form == "convinteger-tensor":
            self.constants[rescale] = np.asarray(scale, np.float32).reshape(())
        value = self._add("Mul", [value, rescale], f"{out}/scaled")
        if relu and self.form == "convinteger-tensor":
            value = self._add("Relu", [value], f"{out}/relu")
        # Below zero point 0 the next step cuts off, as the ReLU would.
        self._add("QuantizeLinear", [value, y_scale, y_zero], f"{out}/u8")

    def _weights(self, node: onnx.NodeProto, channels: bool) -> tuple[str, str, str, int]:
        """Names of int8 weights, scale and zero point, and the axis of the scales."""
        array, name = self.arrays[node.input[1]], f"{node.input[1]}/s8"
        axes = tuple(range(1, array.ndim)) if channels else None
        scale = np.maximum(np.abs(array).max(axis=axes), 1e-8) / np.float32(127)
        shaped = scale.reshape(-1, *[1] * (array.ndim - 1)) if channels else scale
        self._keep(name, np.round(array / shaped).astype(np.int8))
        self._keep(f"{name}/scale", np.asarray(scale, np.float32))
        self._keep(f"{name}/zeros", np.zeros(np.shape(scale), np.int8))
        return name, f"{name}/scale", f"{name}/zeros", 0

    def _detour(self, name: str) -> str:
        source, scale = self.floats[name], self._scale(name)
        if f"{name}/detour" not in self.bytes:
            self.bytes[f"{name}/detour"] = name
            self._add("QuantizeLinear", [source, *scale], f"{name}/u8")
            self._add("DequantizeLinear", [f"{name}/u8", *scale], f"{name}/detour")
        return f"{name}/detour"

    def _float(self, name: str) -> str:
        if name not in self.floats:
            inputs = [self.bytes[name], *self._scale(name)]
            self.floats[name] = self._add("DequantizeLinear", inputs, f"{name}/f32")
        return self.floats[name]

    def _byte(self, name: str) -> str:
        if name not in self.bytes:
            inputs = [self.floats[name], *self._scale(name)]
            self.bytes[name] = self._add("QuantizeLinear", inputs, f"{name}/u8")
        return self.bytes[name]

    def _scale(self, name: str) -> tuple[str, str]:
        scale, zero = self.ranges[name]
        return self._keep(f"{name}/scale", scale), self._keep(f"{name}/zero", zero)

    def _keep(self, name: str, value: object) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def _copy(self, node: onnx.NodeProto, inputs: list[str], output: str) -> None:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:], copy.output[:] = inputs, [output]
        self.nodes.append(copy)

    def _add(
        self, kind: str, inputs: list[str], output: str, domain: str = "", **options: object
    ) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **options))
        return output


def quantise(model: onnx.ModelProto, form: Form = "qdq-channel") -> onnx.ModelProto:
    """A frozen float graph of convolutions with biases, ReLUs, adds and pooling, in int8."""
    return Quantiser(model, form).quantised()
