"""An architecture and its parameters, as an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.backbones.architectures.layers import INPUT, Architecture, ConvLayer, PoolLayer
from edgetransfer.backbones.graph import Array
from edgetransfer.errors import BackboneError
from edgetransfer.types import Float32Array

OPSET, IR_VERSION = 13, 8  # what every engine reads
FEATURES, LOGITS = "features", "logits"
NORM_EPSILON = 1e-5  # torch's own default, and torchvision's


def build(
    architecture: Architecture,
    parameters: Mapping[str, Array],
    *,
    size: int = 224,
    classifier: bool = False,
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
        Side of the input, in pixels.
    classifier
        Whether the fully connected layer is part of it.

    Raises
    ------
    BackboneError
        If a parameter is missing or has another shape than the architecture says.
    """
    writer = _Writer(parameters)
    for layer in architecture.layers:
        if isinstance(layer, PoolLayer):
            writer.pool(layer)
        else:
            writer.convolution(layer)
    last = writer.outputs[architecture.layers[-1].name]
    pooled = writer.node("GlobalAveragePool", [last], "pooled")
    output = writer.node("Flatten", [pooled], FEATURES, axis=1)
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


def folded_convolution(
    layer: ConvLayer, parameters: Mapping[str, Array]
) -> tuple[Float32Array, Float32Array]:
    """A convolution's weights (O, I / groups, K, K) and bias (O,) with its batch-norm folded in.

    Raises
    ------
    BackboneError
        If a parameter is missing or has another shape than the architecture says.
    """
    channels = (layer.outputs,)
    weight = _wanted(parameters, f"{layer.name}.weight", layer.shape).astype(np.float64)
    bias = _found(parameters, f"{layer.name}.bias", channels, default=0.0)
    if f"{layer.norm}.running_mean" in parameters:
        mean = _wanted(parameters, f"{layer.norm}.running_mean", channels).astype(np.float64)
        variance = _wanted(parameters, f"{layer.norm}.running_var", channels).astype(np.float64)
        scale = _found(parameters, f"{layer.norm}.weight", channels, default=1.0)
        scale = scale / np.sqrt(variance + NORM_EPSILON)
        bias = _found(parameters, f"{layer.norm}.bias", channels, default=0.0) + scale * (
            bias - mean
        )
        weight = weight * scale[:, None, None, None]
    elif f"{layer.name}.bias" not in parameters:
        raise BackboneError(
            f"the parameters have neither a batch-norm {layer.norm!r} nor a bias for "
            f"{layer.name!r}: statistics are needed to run the network"
        )
    return np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)


def _wanted(parameters: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    if name not in parameters:
        raise BackboneError(f"the parameter {name!r} is missing")
    value = np.asarray(parameters[name])
    if value.shape != shape:
        raise BackboneError(f"the parameter {name!r} has shape {value.shape}, not {shape}")
    return value


def _found(
    parameters: Mapping[str, Array], name: str, shape: tuple[int, ...], *, default: float
) -> Array:
    if name not in parameters:
        return np.full(shape, default)
    return _wanted(parameters, name, shape).astype(np.float64)


class _Writer:
    """Collects nodes and weights; ``outputs`` has each layer's last tensor by its name."""

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters = parameters
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Float32Array] = {}
        self.outputs = {INPUT: INPUT}

    def node(self, operator: str, inputs: list[str], output: str, **options: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **options))
        return output

    def pool(self, layer: PoolLayer) -> None:
        self.outputs[layer.name] = self.node(
            "MaxPool", [self.outputs[layer.source]], layer.name, **_window(layer)
        )

    def convolution(self, layer: ConvLayer) -> None:
        weight, bias = f"{layer.name}.weight", f"{layer.name}.bias"
        self.weights[weight], self.weights[bias] = folded_convolution(layer, self.parameters)
        inputs = [self.outputs[layer.source], weight, bias]
        x = self.node("Conv", inputs, layer.name, group=layer.groups, **_window(layer))
        if layer.shortcut is not None:
            x = self.node("Add", [x, self.outputs[layer.shortcut]], f"{layer.name}.add")
        if layer.activation == "relu":
            x = self.node("Relu", [x], f"{layer.name}.relu")
        elif layer.activation == "relu6":
            self.weights["zero"] = np.array(0, np.float32)
            self.weights["six"] = np.array(6, np.float32)
            x = self.node("Clip", [x, "zero", "six"], f"{layer.name}.relu6")
        self.outputs[layer.name] = x

    def classifier(self, architecture: Architecture) -> int:
        """Append the fully connected layer; returns its number of classes."""
        name = architecture.classifier
        weight = np.asarray(self.parameters.get(f"{name}.weight", np.zeros((0, 0))))
        classes = len(weight)
        self.weights[f"{name}.weight"] = _wanted(
            self.parameters, f"{name}.weight", (classes, architecture.dimension)
        ).astype(np.float32)
        bias = _found(self.parameters, f"{name}.bias", (classes,), default=0.0)
        self.weights[f"{name}.bias"] = bias.astype(np.float32)
        self.node("Gemm", [FEATURES, f"{name}.weight", f"{name}.bias"], LOGITS, transB=1)
        return classes


def _window(layer: ConvLayer | PoolLayer) -> dict[str, list[int]]:
    return {
        "kernel_shape": [layer.kernel] * 2,
        "strides": [layer.stride] * 2,
        "pads": list(layer.pads),
    }
