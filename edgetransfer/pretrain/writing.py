"""From a trained network to an ONNX file with its card, classifier included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.writing import write_backbone
from edgetransfer.finetune.initializers import with_initializers
from edgetransfer.graphs.canonical import load_canonical
from edgetransfer.pretrain.network import HEAD_BIAS, HEAD_WEIGHT, Network, Tensors
from edgetransfer.pretrain.starting import Start

LOGITS = "logits"


def written_model(start: Start, net: Network) -> onnx.ModelProto:
    """The graph with the network's weights; batch-norm stays as it is, to be trained further."""
    if not net.has_head and start.parent is not None:
        # The classifier that the dense file has reads the features that were the aim.
        return with_initializers(load_canonical(start.parent.path), net.arrays)
    return with_head(with_initializers(start.body, net.arrays), net.values)


def with_head(body: onnx.ModelProto, values: Tensors) -> onnx.ModelProto:
    """A body with a fully connected layer on its features, whose output is ``logits``."""
    model = onnx.ModelProto()
    model.CopyFrom(body)
    weight, bias = (values[name].numpy() for name in (HEAD_WEIGHT, HEAD_BIAS))
    features = model.graph.output[0]
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    names = [_free(name, taken) for name in (HEAD_WEIGHT, HEAD_BIAS, LOGITS)]
    for name, value in zip(names, (weight, bias), strict=False):
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    model.graph.node.append(
        helper.make_node("Gemm", [features.name, *names[:2]], [names[2]], name=names[2], transB=1)
    )
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info(names[2], TensorProto.FLOAT, ["N", len(weight)])
    )
    return model


def written_features(start: Start) -> str:
    """The feature tensor of a written network."""
    parent = start.parent
    return start.body.graph.output[0].name if parent is None else parent.cut.tensor


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}.own"
    return name


def write_network(
    start: Start, model: onnx.ModelProto, out: Path, *, pruning: str, source: str
) -> Backbone:
    """Write a network and its card."""
    parent = start.parent
    card = replace(
        start.card,
        name=out.stem,
        features=written_features(start),
        pruning=pruning or None,
        source=source,
        sha256=None,
        parent=None if parent is None else parent.sha256,
    )
    return write_backbone(model, card, out, made_from=out)
