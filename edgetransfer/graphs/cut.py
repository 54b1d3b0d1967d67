"""Where an image network's features end and its classifier begins.

The feature tensor is what the last fully connected layer reads; that layer may be a Gemm, a
MatMul, or a 1x1 convolution, after global pooling (DenseNet, MobileNet) or before it
(SqueezeNet). Node names are never looked at. What was cut off is said in words, and so is every
doubt about it: features of the wrong place make a classifier that is quietly worse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.classifier import (
    GLOBAL_POOLING,
    Ends,
    Head,
    common_data,
    data_input,
    ends_of,
    is_fully_connected,
    is_pointwise,
    is_pooled,
    logits_of,
    width_of,
)
from edgetransfer.graphs.graph import Graph, dims_of, subgraph

BETWEEN_CLASSIFIER_AND_POOLING = frozenset(["Relu", "Dropout", "Identity"])
IMAGENET_CLASSES = frozenset([1000, 1001, 21841, 21843])
# A classifier's answers seldom have these widths; embeddings mostly do.
EMBEDDING_WIDTHS = frozenset([32, 64, 128, 192, 256, 384, 512, 768, 1024, 2048])
MUCH_WIDER = 64
FEW_CLASSES = 16  # so few answers are classes: a classifier of somebody's own
MEND = "name another tensor with --features if that is wrong"


@dataclass(frozen=True, kw_only=True)
class FeatureCut:
    """Where a graph is cut.

    Parameters
    ----------
    tensor
        The feature tensor.
    classifier
        What the classifier that was cut off makes, before a softmax; None where the graph has
        no classifier.
    what
        What was cut off, in words.
    doubts
        What a person should know before trusting the features; each names the mend.
    """

    tensor: str
    classifier: str | None
    what: str = "nothing is cut off"
    doubts: tuple[str, ...] = ()


def find_features(model: onnx.ModelProto) -> FeatureCut:
    """Find the feature tensor of a canonical model.

    Raises
    ------
    BackboneError
        If the graph's outputs, or the paths to one, lead to different classifiers, so that a
        person must choose.
    """
    graph = Graph(model)
    cuts = {value.name: _cut_before(graph, value.name) for value in graph.proto.output}
    if not cuts:
        raise BackboneError("the graph has no output")
    with_classifier = {cut.tensor: cut for cut in cuts.values() if cut.classifier is not None}
    if len(with_classifier) == 1:
        return next(iter(with_classifier.values()))
    if not with_classifier and len(cuts) == 1:
        return next(iter(cuts.values()))
    raise _ambiguous(
        f"the graph's {len(cuts)} outputs lead to several",
        sorted(with_classifier or {c.tensor: c for c in cuts.values()}),
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
    if not readers:
        return FeatureCut(tensor=tensor, classifier=None)
    return FeatureCut(
        tensor=tensor,
        classifier=readers[0].output[0],
        what=f"what reads it is cut off, as asked: {_name(readers[0])} and what follows",
    )


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


def doubt_of_width(dimension: int, classes: int | None = None) -> str | None:
    """Why features of a width may be class scores instead, or None.

    Parameters
    ----------
    dimension
        The length of a feature vector.
    classes
        How many labels the data has, where that is known.
    """
    if dimension in IMAGENET_CLASSES:
        like = f"{dimension:,} numbers, as many as ImageNet has classes"
    elif dimension == classes:
        like = f"{dimension:,} numbers, as many as the data has labels"
    else:
        return None
    return (
        f"the features are {like}: if they are a classifier's answers and not features, what "
        "is learned on them is worse; name the tensor that the classifier reads with --features"
    )


def _cut_before(graph: Graph, output: str) -> FeatureCut:
    ends = ends_of(graph, output)
    if ends.only_heads:
        return _before_heads(graph, output, ends)
    if ends.heads:
        return replace(
            _whole(graph, output),
            doubts=(
                f"the output {output!r} is taken as features: a fully connected layer "
                f"({_name(ends.heads[0].node)}) makes a part of it, but not all; {MEND}",
            ),
        )
    if len(ends.others) == 1:
        last = graph.producers.get(ends.others[0])
        data = data_input(graph, last) if last is not None else None
        if last is not None and last.op_type in GLOBAL_POOLING and data is not None:
            found = _classifier_before_pooling(graph, data, ends.others[0], ends.probabilities)
            return found or _whole(graph, output)
    return _whole(graph, output)


def _before_heads(graph: Graph, output: str, ends: Ends) -> FeatureCut:
    tensor = common_data(graph, ends.heads)
    if tensor is None:
        raise _ambiguous(
            f"the output {output!r} is made by {len(ends.heads)} classifiers that read several",
            sorted({head.data for head in ends.heads}),
        )
    names = ", ".join(_described(graph, head) for head in ends.heads[:3])
    several = f"the {len(ends.heads)} classifiers " if len(ends.heads) > 1 else ""
    return FeatureCut(
        tensor=tensor,
        classifier=logits_of(graph, output),
        what=f"cut off: {several}{names} and what follows",
        doubts=tuple(_doubts_of_heads(graph, tensor, ends)),
    )


def _doubts_of_heads(graph: Graph, tensor: str, ends: Ends) -> list[str]:
    """Signs that what was cut off is no classifier but a part of the features."""
    head = ends.heads[0]
    widths = width_of(graph, head)
    name = _name(head.node)
    doubts = []
    if not _is_summary(graph, tensor):
        doubts.append(f"{name} was cut off as a classifier, but it stands behind no global pooling")
    if widths is not None and len(ends.heads) == 1 and not ends.probabilities:
        read, made = widths
        if made in EMBEDDING_WIDTHS:
            doubts.append(
                f"{name} was cut off as a classifier, but {made} is a width of embeddings"
            )
        elif made > FEW_CLASSES and read >= MUCH_WIDER * made:
            doubts.append(f"the features are much wider ({read:,}) than what {name} makes ({made})")
    if len(ends.heads) > 1:
        doubts.append(
            f"the answers of {len(ends.heads)} classifiers are joined, and what all of them read "
            "is taken as features"
        )
    last = f"if it is an embedding layer and no classifier, give --features {head.node.output[0]!r}"
    return [f"{doubt}; {last}" for doubt in doubts]


def _is_summary(graph: Graph, tensor: str) -> bool:
    """Whether a tensor describes the whole image: pooled, a token of it, or a hidden layer's."""
    while (node := graph.producers.get(tensor)) is not None:
        if node.op_type in GLOBAL_POOLING or node.op_type in ("Gather", "Slice", "ReduceSum"):
            return True
        if is_fully_connected(graph, node):
            return True
        data = data_input(graph, node)
        if data is None:
            return any(_is_summary(graph, n) for n in node.input if n not in graph.constants)
        if node.op_type == "Conv":
            return is_pooled(graph, tensor)
        tensor = data
    return False


def _whole(graph: Graph, output: str) -> FeatureCut:
    """The output as it is; doubtful where it is neither pooled nor a token."""
    doubts = []
    declared = {value.name: dims_of(value) for value in graph.proto.output}.get(output, [])
    width = declared[1] if len(declared) == 2 else None
    doubt = None if width is None else doubt_of_width(width)
    if doubt is not None:
        doubts.append(doubt)
    elif not _is_summary(graph, output):
        doubts.append(
            f"no classifier and no global pooling was found: the output {output!r} is taken as "
            f"features, averaged over its positions if it has any; {MEND}"
        )
    return FeatureCut(
        tensor=output,
        classifier=None,
        what="nothing is cut off: no classifier was found at the end",
        doubts=tuple(doubts),
    )


def _classifier_before_pooling(
    graph: Graph, tensor: str, pooled: str, probabilities: bool
) -> FeatureCut | None:
    """SqueezeNet's form: a 1x1 convolution to the classes, then global pooling.

    A feature extractor may end in the same operators (MobileNet's last pointwise convolution,
    then pooling), so a softmax, a dropout before the convolution, or ImageNet's number of
    classes must say that it is a classifier.
    """
    while (node := graph.producers.get(tensor)) is not None:
        data = data_input(graph, node)
        if data is None:
            return None
        if is_pointwise(graph, node):
            before = graph.producers.get(data)
            dropout = before is not None and before.op_type == "Dropout"
            head = Head(node=node, data=data)
            widths = width_of(graph, head)
            classes = widths is not None and widths[1] in IMAGENET_CLASSES
            if not (probabilities or dropout or classes):
                return None
            doubt = (
                f"taken as a classifier: the 1x1 convolution before the last pooling, making "
                f"{node.output[0]!r}; if it is part of the features, give --features {pooled!r}"
            )
            return FeatureCut(
                tensor=data,
                classifier=pooled,
                what=f"cut off: {_described(graph, head)}, the pooling behind it and what follows",
                doubts=() if probabilities else (doubt,),
            )
        if node.op_type not in BETWEEN_CLASSIFIER_AND_POOLING:
            return None
        tensor = data
    return None


def _ambiguous(why: str, candidates: list[str]) -> BackboneError:
    return BackboneError(
        f"the feature tensor is ambiguous: {why} ({', '.join(candidates)}); name one with "
        "--features TENSOR"
    )


def _name(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"


def _described(graph: Graph, head: Head) -> str:
    widths = width_of(graph, head)
    return _name(head.node) + ("" if widths is None else f" ({widths[0]:,} to {widths[1]:,})")
