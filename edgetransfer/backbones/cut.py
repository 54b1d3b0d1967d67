"""Where an image network's features end and its classifier begins.

The feature tensor is what the last fully connected layer reads; that layer may be a Gemm, a
MatMul, or a 1x1 convolution, after global pooling (DenseNet, MobileNet) or before it
(SqueezeNet). Node names are never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from edgetransfer.backbones.graph import Graph, attribute, subgraph
from edgetransfer.errors import BackboneError

# What may follow a classifier without changing which class is best.
AFTER_CLASSIFIER = frozenset(
    (
        *("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "TopK", "Identity", "Dropout", "Cast"),
        *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Add", "Sub", "Mul", "Div"),
        *("QuantizeLinear", "DequantizeLinear"),
    )
)
GLOBAL_POOLING = frozenset(["GlobalAveragePool", "AveragePool", "ReduceMean", "GlobalMaxPool"])
BETWEEN_CLASSIFIER_AND_POOLING = frozenset(["Relu", "Dropout", "Identity"])
IMAGENET_CLASSES = frozenset([1000, 1001, 21841, 21843])


@dataclass(frozen=True, kw_only=True)
class FeatureCut:
    """Where a graph is cut.

    Parameters
    ----------
    tensor
        The feature tensor.
    classifier
        The output of the layer that was cut off, None where the graph has no classifier.
    note
        A doubt that a person should know of, or an empty string.
    """

    tensor: str
    classifier: str | None
    note: str = ""


def find_features(model: onnx.ModelProto) -> FeatureCut:
    """Find the feature tensor of a canonical model.

    Raises
    ------
    BackboneError
        If the graph's outputs lead to different classifiers, so that a person must choose.
    """
    graph = Graph(model)
    cuts = {value.name: _walk_back(graph, value.name) for value in graph.proto.output}
    if not cuts:
        raise BackboneError("the graph has no output")
    with_classifier = {cut.tensor: cut for cut in cuts.values() if cut.classifier is not None}
    if len(with_classifier) == 1:
        return next(iter(with_classifier.values()))
    if not with_classifier and len(cuts) == 1:
        return next(iter(cuts.values()))
    candidates = ", ".join(sorted(with_classifier or {c.tensor: c for c in cuts.values()}))
    raise BackboneError(
        f"the feature tensor is ambiguous: the graph's {len(cuts)} outputs lead to several "
        f"({candidates}); name one with --features TENSOR"
    )


def check_tensor(model: onnx.ModelProto, tensor: str) -> FeatureCut:
    """The cut at a tensor that a person named.

    Raises
    ------
    BackboneError
        If the graph has no such tensor.
    """
    graph = Graph(model)
    if tensor not in graph.producers:
        near = [name for name in graph.producers if tensor and tensor in name]
        last = [node.output[0] for node in graph.proto.node[-4:]]
        raise BackboneError(
            f"no tensor {tensor!r} in the graph; "
            + (f"near it: {', '.join(near[:5])}" if near else f"the last ones: {', '.join(last)}")
        )
    readers = graph.consumers.get(tensor, [])
    return FeatureCut(tensor=tensor, classifier=readers[0].output[0] if readers else None)


def cut(
    model: onnx.ModelProto, where: FeatureCut
) -> tuple[onnx.ModelProto, onnx.ModelProto | None]:
    """Cut a model in two: up to the feature tensor, and from there to the outputs.

    The second part takes the feature tensor as its input; it is None where nothing follows.
    """
    graph = Graph(model)
    unknown = onnx.helper.make_tensor_value_info(where.tensor, onnx.TensorProto.FLOAT, None)
    body = subgraph(model, graph.inputs, [unknown])
    used = {name for node in body.graph.node for name in node.input}
    for value in [v for v in body.graph.input if v.name not in used]:
        body.graph.input.remove(value)
    if where.classifier is None:
        return body, None
    return body, subgraph(model, [unknown], list(graph.proto.output))


def _data_input(graph: Graph, node: onnx.NodeProto) -> str | None:
    """The one input of a node that depends on the image; None if there are several."""
    if node.op_type == "Reshape":
        return str(node.input[0])  # the target shape may be computed from the input's
    moving = [name for name in node.input if name and name not in graph.constants]
    return moving[0] if len(moving) == 1 else None


def _walk_back(graph: Graph, output: str) -> FeatureCut:
    tensor, saw_softmax = output, False
    while (node := graph.producers.get(tensor)) is not None:
        data = _data_input(graph, node)
        if data is None:
            break
        if _is_fully_connected(node) or (_is_pointwise(graph, node) and _is_pooled(graph, data)):
            return FeatureCut(tensor=data, classifier=node.output[0])
        if node.op_type in GLOBAL_POOLING:
            found = _classifier_before_pooling(graph, data, saw_softmax)
            return found or FeatureCut(tensor=output, classifier=None)
        if node.op_type not in AFTER_CLASSIFIER:
            break
        saw_softmax |= node.op_type in ("Softmax", "LogSoftmax")
        tensor = data
    return FeatureCut(tensor=output, classifier=None)


def _is_fully_connected(node: onnx.NodeProto) -> bool:
    return node.op_type in ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "FusedGemm")


def _is_pointwise(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type != "Conv" or attribute(node, "group", 1) != 1:
        return False
    weights = graph.array(node.input[1])
    return weights is not None and weights.ndim == 4 and weights.shape[2:] == (1, 1)


def _is_pooled(graph: Graph, tensor: str) -> bool:
    """Whether only reshaping and activations stand between a tensor and a global pooling."""
    while (node := graph.producers.get(tensor)) is not None:
        if node.op_type in GLOBAL_POOLING:
            return True
        data = _data_input(graph, node)
        if data is None:
            # A swish reads its own input twice.
            return any(_is_pooled(graph, n) for n in node.input if n not in graph.constants)
        if node.op_type == "Conv" and not _is_pointwise(graph, node):
            return False
        if node.op_type in ("MaxPool", "Concat", "BatchNormalization"):
            return False
        tensor = data
    return False


def _classifier_before_pooling(graph: Graph, tensor: str, softmax: bool) -> FeatureCut | None:
    """SqueezeNet's form: a 1x1 convolution to the classes, then global pooling.

    A feature extractor may end in the same operators (MobileNet's last pointwise convolution,
    then pooling), so a softmax, a dropout before the convolution, or ImageNet's number of
    classes must say that it is a classifier.
    """
    while (node := graph.producers.get(tensor)) is not None:
        data = _data_input(graph, node)
        if data is None:
            return None
        if _is_pointwise(graph, node):
            before = graph.producers.get(data)
            dropout = before is not None and before.op_type == "Dropout"
            weights = graph.array(node.input[1])
            classes = weights is not None and weights.shape[0] in IMAGENET_CLASSES
            if not (softmax or dropout or classes):
                return None
            note = (
                ""
                if softmax
                else (
                    "taken as a classifier: the 1x1 convolution before the last pooling, making "
                    f"{node.output[0]!r}; if it is part of the features, give --features"
                )
            )
            return FeatureCut(tensor=data, classifier=node.output[0], note=note)
        if node.op_type not in BETWEEN_CLASSIFIER_AND_POOLING:
            return None
        tensor = data
    return None
