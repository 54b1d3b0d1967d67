"""An architecture and its parameters, as an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Activation,
    Architecture,
    ConvLayer,
    GateLayer,
    NeckLayer,
    NormLayer,
    Padding,
    PoolLayer,
)
from edgetransfer.backbones.architectures.parameters import (
    folded_convolution,
    found_or,
    wanted,
)
from edgetransfer.graphs.graph import Array
from edgetransfer.types import Float32Array

OPSET, IR_VERSION = 13, 8  # what every engine reads
FEATURES, LOGITS = "features", "logits"


def build(
    architecture: Architecture,
    parameters: Mapping[str, Array],
    *,
    size: int = 224,
    classifier: bool = False,
    keep_batchnorm: bool = False,
) -> onnx.ModelProto:
    """Make the ONNX graph of an architecture.

    Batch-norm is folded into the convolution before it, which keeps every zero weight and gives
    each filter a bias. The graph is opset 13, its input ``input`` (N, 3, size, size) float32
    with an open batch, its output ``features`` (N, dimension), or ``logits`` (N, classes) made of
    them. Weights keep their names, so do biases (``CONV.bias``).

    Parameters
    ----------
    parameters
        By name, as in a torch state dict. A batch-norm has ``running_mean`` and ``running_var``
        and perhaps ``weight`` and ``bias``; a convolution without one has a bias. Others than
        the architecture's are not looked at.
    size
        Side of the input, in pixels. TensorFlow's padding is worked out for it.
    classifier
        Whether the fully connected layer is part of it.
    keep_batchnorm
        Leave batch-norms with statistics as nodes of their own, to be trained further; their
        parameters keep their names.

    Raises
    ------
    BackboneError
        If a parameter is missing or has another shape than the architecture says.
    """
    writer = _Writer(architecture, parameters, size, keep_batchnorm=keep_batchnorm)
    for layer in architecture.layers:
        if isinstance(layer, PoolLayer):
            writer.pool(layer)
        elif isinstance(layer, GateLayer):
            writer.gate(layer)
        elif isinstance(layer, NormLayer):
            writer.normalisation(layer)
        else:
            writer.convolution(layer)
    output = writer.features()
    columns = architecture.dimension
    if classifier:
        columns = writer.classifier(architecture)
        output = LOGITS
    graph = helper.make_graph(
        writer.nodes,
        architecture.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", columns])],
        [numpy_helper.from_array(value, name) for name, value in writer.weights.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgetransfer"
    )
    model.ir_version = IR_VERSION
    return model


def multiply_adds(architecture: Architecture, size: int) -> int:
    """Multiply-adds for the features of one image of so many pixels a side; biases not counted."""
    sides, total = {INPUT: size}, 0
    for layer in architecture.layers:
        side = sides[layer.source]
        if isinstance(layer, ConvLayer):
            pads = padding(layer, architecture.conventions.padding, side)
            side = sides[layer.name] = (side + pads[0] + pads[2] - layer.kernel) // layer.stride + 1
            total += math.prod(layer.shape) * side**2
        elif isinstance(layer, PoolLayer):
            around = layer.pads[0] + layer.pads[2]
            sides[layer.name] = (side + around - layer.kernel) // layer.stride + 1
        else:
            sides[layer.name] = side
        if isinstance(layer, GateLayer):
            total += 2 * layer.channels * layer.hidden
    connected = (step for step in architecture.neck if isinstance(step, NeckLayer))
    return total + sum(step.inputs * step.outputs for step in connected)


class _Writer:
    """Collects nodes and weights.

    ``outputs`` has each layer's last tensor by the layer's name, ``sides`` its height and width.
    """

    def __init__(
        self,
        architecture: Architecture,
        parameters: Mapping[str, Array],
        size: int,
        *,
        keep_batchnorm: bool,
    ) -> None:
        self.architecture = architecture
        self.conventions = architecture.conventions
        self.parameters = parameters
        self.keep_batchnorm = keep_batchnorm
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Float32Array] = {}
        self.outputs = {INPUT: INPUT}
        self.sides = {INPUT: size}

    def node(self, operator: str, inputs: list[str], output: str, **options: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **options))
        return output

    def pool(self, layer: PoolLayer) -> None:
        self.outputs[layer.name] = self.node(
            "MaxPool",
            [self.outputs[layer.source]],
            layer.name,
            **self._window(layer, layer.pads),
        )

    def convolution(self, layer: ConvLayer) -> None:
        weight, bias = f"{layer.name}.weight", f"{layer.name}.bias"
        inputs = [self.outputs[layer.source], weight]
        kept = self.keep_batchnorm and f"{layer.norm}.running_mean" in self.parameters
        if kept:
            self.weights[weight] = wanted(self.parameters, weight, layer.shape).astype(np.float32)
            if bias in self.parameters:
                self.weights[bias] = wanted(self.parameters, bias, (layer.outputs,))
                inputs.append(bias)
        else:
            self.weights[weight], self.weights[bias] = folded_convolution(
                layer, self.parameters, self.conventions.epsilon
            )
            inputs.append(bias)
        pads = padding(layer, self.conventions.padding, self.sides[layer.source])
        window = self._window(layer, pads)
        x = self.node("Conv", inputs, layer.name, group=layer.groups, **window)
        if kept:
            x = self._batch_norm(layer, x)
        if layer.shortcut is not None:
            x = self.node("Add", [x, self.outputs[layer.shortcut]], f"{layer.name}.add")
        if layer.activation is not None:
            x = self.activation(self.conventions.activation or layer.activation, x, layer.name)
        self.outputs[layer.name] = x

    def _batch_norm(self, layer: ConvLayer, x: str) -> str:
        shape = (layer.outputs,)
        for key, usual in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0), ("running_var", 1)):
            name = f"{layer.norm}.{key}"
            found = found_or(self.parameters, name, shape, default=usual)
            self.weights[name] = found.astype(np.float32)
        inputs = [x, *(f"{layer.norm}.{key}" for key in ("weight", "bias"))]
        inputs += [f"{layer.norm}.{key}" for key in ("running_mean", "running_var")]
        epsilon = self.conventions.epsilon
        return self.node("BatchNormalization", inputs, layer.norm, epsilon=epsilon)

    def gate(self, layer: GateLayer) -> None:
        """Squeeze and excitation."""
        x = self.outputs[layer.source]
        y = self.node("GlobalAveragePool", [x], f"{layer.name}.pooled")
        for name, shape in layer.shapes.items():
            self.weights[name] = wanted(self.parameters, name, shape).astype(np.float32)
        for name in (layer.reduce, layer.expand):
            y = self.node("Conv", [y, f"{name}.weight", f"{name}.bias"], name, kernel_shape=[1, 1])
            if name == layer.reduce:
                y = self.activation(layer.activation, y, name)
        if layer.gate == "sigmoid":
            y = self.node("Sigmoid", [y], f"{layer.name}.sigmoid")
        else:
            y = self._hard_sigmoid(y, f"{layer.name}.hardsigmoid")
        self.outputs[layer.name] = self.node("Mul", [x, y], layer.name)
        self.sides[layer.name] = self.sides[layer.source]

    def normalisation(self, layer: NormLayer) -> None:
        """Layer normalisation over channels; the sum of squares is of differences."""
        x = self.outputs[layer.source]
        self.outputs[layer.name] = self._normalised(layer, x, positions=2)
        self.sides[layer.name] = self.sides[layer.source]

    def activation(self, kind: Activation, x: str, prefix: str) -> str:
        """Append an activation; its output is PREFIX.KIND."""
        name = f"{prefix}.{kind}"
        if kind == "relu":
            return self.node("Relu", [x], name)
        if kind == "relu6":
            limits = [self._number("zero", 0), self._number("six", 6)]
            return self.node("Clip", [x, *limits], name)
        if kind == "silu":
            return self.node("Mul", [x, self.node("Sigmoid", [x], f"{prefix}.sigmoid")], name)
        if kind == "gelu":
            scaled = self.node("Mul", [x, self._number("half_root", 0.5**0.5)], f"{prefix}.scaled")
            erf = self.node("Erf", [scaled], f"{prefix}.erf")
            share = self.node("Add", [erf, self._number("one", 1)], f"{prefix}.share")
            half = self.node("Mul", [x, self._number("half", 0.5)], f"{prefix}.half")
            return self.node("Mul", [half, share], name)
        return self.node("Mul", [x, self._hard_sigmoid(x, f"{prefix}.hardsigmoid")], name)

    def features(self) -> str:
        """Append the pooling and the neck."""
        last = self.outputs[self.architecture.layers[-1].name]
        pooled = self.node("GlobalAveragePool", [last], "pooled")
        neck = self.architecture.neck
        x = self.node("Flatten", [pooled], "flattened" if neck else FEATURES, axis=1)
        for step in neck:
            if isinstance(step, NormLayer):
                x = self._normalised(step, x, positions=0)
            else:
                x = self._fully_connected(step, x)
        if neck:
            self.nodes[-1].output[0] = FEATURES
        return FEATURES

    def classifier(self, architecture: Architecture) -> int:
        """Append the fully connected layer; returns its number of classes."""
        name = architecture.classifier
        weight = np.asarray(self.parameters.get(f"{name}.weight", np.zeros((0, 0))))
        classes = len(weight)
        self.weights[f"{name}.weight"] = wanted(
            self.parameters, f"{name}.weight", (classes, architecture.dimension)
        ).astype(np.float32)
        bias = found_or(self.parameters, f"{name}.bias", (classes,), default=0.0)
        self.weights[f"{name}.bias"] = bias.astype(np.float32)
        self.node("Gemm", [FEATURES, f"{name}.weight", f"{name}.bias"], LOGITS, transB=1)
        return classes

    def _fully_connected(self, step: NeckLayer, x: str) -> str:
        for name, shape in step.shapes.items():
            self.weights[name] = wanted(self.parameters, name, shape).astype(np.float32)
        inputs = [x, f"{step.name}.weight", f"{step.name}.bias"]
        return self.activation(
            step.activation, self.node("Gemm", inputs, step.name, transB=1), step.name
        )

    def _normalised(self, layer: NormLayer, x: str, *, positions: int) -> str:
        """X of (N, C) or, with as many dimensions more, of (N, C, H, W), normalised over C."""
        name = layer.name
        for key, shape in layer.shapes.items():
            value = wanted(self.parameters, key, shape).astype(np.float32)
            self.weights[key] = value.reshape(1, -1, *(1,) * positions)
        mean = self.node("ReduceMean", [x], f"{name}.mean", axes=[1])
        moved = self.node("Sub", [x, mean], f"{name}.moved")
        square = self.node("Mul", [moved, moved], f"{name}.square")
        variance = self.node("ReduceMean", [square], f"{name}.variance", axes=[1])
        epsilon = self._number(f"epsilon_{layer.epsilon:g}", layer.epsilon)
        steady = self.node("Add", [variance, epsilon], f"{name}.steady")
        deviation = self.node("Sqrt", [steady], f"{name}.deviation")
        unit = self.node("Div", [moved, deviation], f"{name}.unit")
        scaled = self.node("Mul", [unit, f"{name}.weight"], f"{name}.scaled")
        return self.node("Add", [scaled, f"{name}.bias"], name)

    def _number(self, name: str, value: float) -> str:
        """A constant under its name, once."""
        self.weights[name] = np.array(value, np.float32)
        return name

    def _hard_sigmoid(self, x: str, name: str) -> str:
        return self.node("HardSigmoid", [x], name, alpha=1 / 6, beta=0.5)

    def _window(
        self, layer: ConvLayer | PoolLayer, pads: tuple[int, int, int, int]
    ) -> dict[str, list[int]]:
        side = self.sides[layer.source] + pads[0] + pads[2]
        self.sides[layer.name] = (side - layer.kernel) // layer.stride + 1
        return {
            "kernel_shape": [layer.kernel] * 2,
            "strides": [layer.stride] * 2,
            "pads": list(pads),
        }


def padding(layer: ConvLayer, kind: Padding, side: int) -> tuple[int, int, int, int]:
    """Pixels added at the top, left, bottom and right of an input of ``side`` pixels."""
    if not layer.padded:
        return 0, 0, 0, 0
    if kind == "symmetric":
        margin = layer.kernel // 2
        return margin, margin, margin, margin
    outputs = -(-side // layer.stride)
    total = max((outputs - 1) * layer.stride + layer.kernel - side, 0)
    before, after = total // 2, total - total // 2
    return before, before, after, after
