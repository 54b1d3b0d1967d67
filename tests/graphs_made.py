"""Small ONNX graphs made by hand, and the nine ``light`` graphs of the onnx wheel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.engines.onnxruntime_engine import UNSOUND

LIGHT_FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

# Feature dimension: what the last fully connected layer reads, by its weights' shape.
LIGHT_DIMENSIONS = {
    "bvlc_alexnet": 4096,
    "densenet121": 1024,
    "inception_v1": 1024,
    "inception_v2": 1024,
    "resnet50": 2048,
    "shufflenet": 544,
    "squeezenet": 512,
    "vgg19": 4096,
    "zfnet512": 1024,
}
# Magnitude of the features that `fill_light` makes (residual sums grow); 1 for the others.
LIGHT_MAGNITUDES = {"resnet50": 5e4, "shufflenet": 1.5e6}
LIGHT_SLOW = frozenset(["bvlc_alexnet", "vgg19", "zfnet512"])


@dataclass
class Made:
    """A model, and where its features are by construction."""

    model: onnx.ModelProto
    features: str
    dimension: int

    def save(self, path: Path) -> Path:
        onnx.save(self.model, str(path))
        return path


class Net:
    """A graph under construction: every method adds to it and returns a tensor's name."""

    def __init__(self, *, seed: int = 0, opset: int = 13) -> None:
        self.rng = np.random.default_rng(seed)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"w{len(self.initializers)}"
        array = np.asarray(values, kind)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def weights(self, *shape: int, sparsity: float = 0.0) -> str:
        """He-normal weights, so that activations stay of one size."""
        values = self.rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        values[self.rng.random(shape) < sparsity] = 0
        return self.constant(values)

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        out = name or f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                operator, list(inputs), [out], name=f"node{len(self.nodes)}", **attributes
            )
        )
        return out

    def conv(self, x: str, channels: tuple[int, int], kernel: int = 3, **options: Any) -> str:
        group, sparsity = options.pop("group", 1), options.pop("sparsity", 0.0)
        pad = kernel // 2
        w = self.weights(channels[1], channels[0] // group, kernel, kernel, sparsity=sparsity)
        b = self.constant(self.rng.normal(0, 0.1, channels[1]))
        return self.add(
            "Conv", x, w, b, kernel_shape=[kernel] * 2, pads=[pad] * 4, group=group, **options
        )

    def batch_norm(self, x: str, channels: int) -> str:
        parameters = [
            self.constant(self.rng.uniform(0.5, 1.5, channels)),
            self.constant(self.rng.normal(0, 0.1, channels)),
            self.constant(self.rng.normal(0, 0.1, channels)),
            self.constant(self.rng.uniform(0.5, 1.5, channels)),
        ]
        return self.add("BatchNormalization", x, *parameters)

    def mean_over(self, x: str, axes: list[int], *, keep: int = 0) -> str:
        """ReduceMean, without kept dimensions by default; its axes became an input in opset 18."""
        if self.opset >= 18:
            return self.add("ReduceMean", x, self.constant(axes, np.int64), keepdims=keep)
        return self.add("ReduceMean", x, axes=axes, keepdims=keep)

    def model(self, shape: list[int | str], outputs: dict[str, list[int | str]]) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "made",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8 if self.opset < 20 else 10
        return model


def tiny(
    *,
    opset: int = 13,
    batch: int | str = "N",
    size: int = 16,
    width: int = 12,
    classes: int = 5,
    head: str = "gemm",
    flatten: str = "flatten",
    pooling: str = "global",
    layout: str = "NCHW",
    softmax: bool = False,
    dropout: bool = False,
    shuffle: bool = False,
    sparsity: float = 0.0,
    seed: int = 0,
) -> Made:
    """A small residual network: stem, residual block, pooling, classifier.

    head: gemm, gemm_transposed, matmul (with bias), conv (1x1, after pooling), conv_before
    (1x1, before pooling, SqueezeNet's form), none.
    flatten: flatten, reshape (batch, width spelt out), reshape_rest (batch, -1), torch (shape
    computed from the input), squeeze.
    """
    net = Net(opset=opset, seed=seed)
    x = "x"
    shape: list[int | str] = [batch, 3, size, size]
    if layout == "NHWC":
        shape = [batch, size, size, 3]
        x = net.add("Transpose", x, perm=[0, 3, 1, 2])
    x = net.conv(x, (3, width), strides=[2, 2], sparsity=sparsity)
    x = net.add("Relu", net.batch_norm(x, width))
    if shuffle:
        side = size // 2
        five = net.constant([batch, 3, width // 3, side, side], np.int64)
        four = net.constant([batch, width, side, side], np.int64)
        x = net.add("Transpose", net.add("Reshape", x, five), perm=[0, 2, 1, 3, 4])
        x = net.add("Reshape", x, four)
    y = net.add("Relu", net.conv(x, (width, width), group=2, sparsity=sparsity))
    y = net.conv(y, (width, width), sparsity=sparsity)
    x = net.add("Relu", net.add("Add", x, y))

    def pooled(x: str) -> str:
        if pooling == "global":
            return net.add("GlobalAveragePool", x)
        if pooling == "average":
            return net.add("AveragePool", x, kernel_shape=[size // 2, size // 2])
        return net.mean_over(x, [2, 3])

    def flat(x: str, columns: int) -> str:
        if flatten == "flatten":
            return net.add("Flatten", x, axis=1)
        if flatten == "reshape":
            return net.add("Reshape", x, net.constant([batch, columns], np.int64))
        if flatten == "reshape_rest":
            return net.add("Reshape", x, net.constant([batch, -1], np.int64))
        if flatten == "squeeze":
            axes = net.constant([2, 3], np.int64)
            return net.add("Squeeze", x, axes)
        rows = net.add("Gather", net.add("Shape", x), net.constant(0, np.int64), axis=0)
        rows = net.add("Unsqueeze", rows, net.constant([0], np.int64))
        target = net.add("Concat", rows, net.constant([-1], np.int64), axis=0)
        return net.add("Reshape", x, target)

    def dropped(x: str) -> str:
        return net.add("Dropout", x) if dropout else x

    if head == "conv_before":
        features = x = dropped(x)
        x = net.add("Relu", net.conv(x, (width, classes), kernel=1))
        x = flat(pooled(x), classes)
    elif head == "conv":
        features = x = dropped(pooled(x))
        x = flat(net.conv(x, (width, classes), kernel=1), classes)
    else:
        x = pooled(x)
        if pooling in ("global", "average"):
            x = flat(x, width)
        features = x = dropped(x)
        bias = net.constant(net.rng.normal(0, 0.1, classes))
        if head == "gemm":
            x = net.add("Gemm", x, net.weights(classes, width), bias, transB=1)
        elif head == "gemm_transposed":
            x = net.add("Gemm", x, net.weights(width, classes), bias)
        elif head == "matmul":
            x = net.add("Add", net.add("MatMul", x, net.weights(width, classes)), bias)
    if softmax:
        x = net.add("Softmax", x, axis=1)
    columns = width if head == "none" else classes
    return Made(net.model(shape, {x: [batch, columns]}), features, width)


def without_names(model: onnx.ModelProto, seed: int = 0) -> tuple[onnx.ModelProto, dict[str, str]]:
    """A copy whose tensors all have random names and whose nodes have none; and old to new."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    rng = np.random.default_rng(seed)
    new: dict[str, str] = {"": ""}

    def renamed(name: str) -> str:
        if name not in new:
            new[name] = f"{rng.integers(1 << 62):x}"
        return new[name]

    graph = copy.graph
    for node in graph.node:
        node.name = ""
        node.input[:] = [renamed(n) for n in node.input]
        node.output[:] = [renamed(n) for n in node.output]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = renamed(value.name)
    del graph.value_info[:]
    return copy, new


def weights_in_constant_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without initializers: each became a ``Constant`` node."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = [
        helper.make_node("Constant", [], [t.name], value=t) for t in copy.graph.initializer
    ] + list(copy.graph.node)
    del copy.graph.initializer[:]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def weights_in_sparse_initializers(
    model: onnx.ModelProto, *, coordinates: bool = False
) -> onnx.ModelProto:
    """A copy whose weights of more than one dimension are sparse tensors.

    Their indices are linear, or one row of coordinates a value.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = []
    for tensor in copy.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim < 2:
            kept.append(tensor)
            continue
        where = np.argwhere(array) if coordinates else np.flatnonzero(array)
        values = numpy_helper.from_array(array[array != 0], tensor.name)
        indices = numpy_helper.from_array(where.astype(np.int64), f"{tensor.name}_indices")
        copy.graph.sparse_initializer.append(
            helper.make_sparse_tensor(values, indices, list(array.shape))
        )
    kept = [onnx.TensorProto.FromString(t.SerializeToString()) for t in kept]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    return copy


def session(model: onnx.ModelProto, *, optimised: bool = True) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2 if optimised else 1
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=UNSOUND,
    )


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """The first output of a model with one input."""
    opened = session(model)
    return opened.run(None, {opened.get_inputs()[0].name: images})[0]


def unoptimised(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """As `run`, node by node as the model stands; on one thread, for graphs that are small."""
    return session(model, optimised=False).run(None, {model.graph.input[0].name: images})[0]


def tensor_of(model: onnx.ModelProto, tensor: str, images: np.ndarray) -> np.ndarray:
    """A tensor inside a model, by making it an output of the model as it is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    return run(copy, images)


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def relative_difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest expected value."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def fill_light(name: str, out: Path, *, sparsity: float = 0.0, seed: int = 0) -> None:
    """Write a light graph with seeded random weights in place of its constants.

    Weights of two and more dimensions are He-normal, variances and scales uniform in 0.5 to
    1.5, so that activations stay finite; the last layer's are smaller, so that the softmax
    does not saturate. ``sparsity`` of the weights are zero, and the others larger to make up.
    """
    model = onnx.load(str(LIGHT_FOLDER / f"light_{name}.onnx"))
    rng = np.random.default_rng(seed)
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    layers = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm")]
    last = layers[-1].input[1]
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape, target = tuple(int(d) for d in shapes[node.input[0]]), node.output[0]
        if len(shape) > 1:
            fan = int(np.prod(shape[1:]))
            values = rng.standard_normal(shape, np.float32)
            small = 0.3 / LIGHT_MAGNITUDES.get(name, 1) / np.sqrt(fan)
            values *= small if target == last else np.sqrt(2 / fan)
            if sparsity:
                values *= rng.random(shape, np.float32) >= sparsity
                values /= np.sqrt(1 - sparsity)
        elif any(k in target for k in ("var", "riv", "scale", "_s_", "bn_w")):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = rng.normal(0, 0.1, shape)
        model.graph.initializer.append(
            numpy_helper.from_array(np.asarray(values, np.float32), target)
        )
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.ir_version = 8
    onnx.save(model, str(out))
