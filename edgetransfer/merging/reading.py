"""A merged file, taken apart again: a backbone for any engine, and its head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError, HeadError
from edgetransfer.graphs.canonical import canonical_of
from edgetransfer.graphs.freeze import INPUT, OUTPUT
from edgetransfer.graphs.graph import Array, Graph, dims_of, subgraph
from edgetransfer.graphs.untrusted import ReadModel, read_model, refusing
from edgetransfer.heads import FeatureMap, LinearHead
from edgetransfer.merging.graph import PROBABILITIES
from edgetransfer.merging.metadata import (
    FORMAT,
    FORMAT_KEY,
    MAP_KEY,
    classes_in,
    preprocessing_in,
    threshold_in,
)
from edgetransfer.merging.unknown import novelty_in
from edgetransfer.reprs import short_repr
from edgetransfer.settings.shared import BackboneReading
from edgetransfer.types import Preprocessing


@dataclass(frozen=True, kw_only=True)
class MergedFile:
    """What stands in a merged file.

    Parameters
    ----------
    backbone
        Fed with normalised images, whether or not the file's graph normalises by itself.
    head
        On its features.
    unknown_below
        Below which probability a photo shows none of the classes; None if that was not set.
    inside
        Whether the file's graph normalises by itself.
    """

    backbone: Backbone
    head: LinearHead
    unknown_below: float | None
    inside: bool

    __repr__ = short_repr


def is_merged(path: Path) -> bool:
    """Whether a run's name is that of a merged file, by its kind alone."""
    return path.suffix == ".onnx" and path.is_file()


def read_merged(path: Path) -> MergedFile:
    """Take a merged file apart.

    Raises
    ------
    BackboneError
        If it is no ONNX file, or not one that `edgetransfer export` wrote.
    """
    read = read_model(path)
    said = {entry.key: entry.value for entry in read.model.metadata_props}
    if said.get(FORMAT_KEY) != FORMAT:
        raise BackboneError(
            f"{path}: an ONNX file, but no classifier that `edgetransfer export` wrote; "
            f"`edgetransfer train --backbone {path.name}` makes one"
        )
    try:
        classes = classes_in(said)
        preprocessing, inside = preprocessing_in(said)
        unknown_below = threshold_in(said)
        with refusing():
            weights, bias, feature_map = _head_of(read.model, said.get(MAP_KEY, "raw"))
            novelty = novelty_in(read.model, said)
            body = _body_of(read.model, preprocessing) if inside else read.model
        head = LinearHead(
            weights=weights, bias=bias, classes=classes, map=feature_map, novelty=novelty
        )
    except (BackboneError, HeadError) as error:
        raise BackboneError(f"{path}: a damaged export: {error}") from error
    canonical = canonical_of(ReadModel(model=body, sha256=read.sha256), path)
    backbone = Backbone.of(path, canonical, BackboneReading(features=OUTPUT if inside else None))
    backbone = backbone.seeing(preprocessing)
    if backbone.dimension != head.dimension:
        raise BackboneError(
            f"{path}: a damaged export: {backbone.dimension} features, but a head for "
            f"{head.dimension}"
        )
    return MergedFile(backbone=backbone, head=head, unknown_below=unknown_below, inside=inside)


def _head_of(model: onnx.ModelProto, name: Any) -> tuple[Array, Array, FeatureMap]:
    """Weights, bias and map of the head, by the nodes that make the probabilities."""
    graph = Graph(model)
    softmax = graph.producers.get(PROBABILITIES)
    gemm = None if softmax is None else graph.producers.get(softmax.input[0])
    if gemm is None or gemm.op_type != "Gemm" or len(gemm.input) != 3:
        raise BackboneError("it does not end in a head")
    weights, bias = graph.array(gemm.input[1]), graph.array(gemm.input[2])
    if weights is None or bias is None:
        raise BackboneError("its head has no stored weights")
    projection = None
    if name == "relu":
        relu = graph.producers.get(gemm.input[0])
        product = None if relu is None else graph.producers.get(relu.input[0])
        projection = None if product is None else graph.array(product.input[1])
    return weights, bias, FeatureMap(name=name, projection=projection)


def _body_of(model: onnx.ModelProto, preprocessing: Preprocessing) -> onnx.ModelProto:
    """The graph behind its own normalisation, with its card."""
    graph = Graph(model)
    name = INPUT
    for step in ("Cast", "Transpose", "Gather", "Mul", "Add"):
        readers = graph.consumers.get(name, [])
        if len(readers) == 1 and readers[0].op_type == step:
            name = readers[0].output[0]
        elif step != "Gather":
            raise BackboneError(f"its normalisation has no {step}")
    batch = dims_of(graph.inputs[0])[0] or "n"
    shape = [batch, 3, preprocessing.size, preprocessing.size]
    value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    features = onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, None)
    body = subgraph(model, [value], [features])
    body.metadata_props.extend(model.metadata_props)
    return body
