"""Backbone and head as one graph: images to probabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.card import METADATA_KEY
from edgetransfer.graphs.freeze import BATCH, INPUT, OUTPUT, take_name, with_open_batch
from edgetransfer.graphs.graph import Array
from edgetransfer.heads import FeatureMap, LinearHead
from edgetransfer.merging.metadata import DISTANCE_KEY, MAP_KEY, written
from edgetransfer.merging.unknown import add_distance, said_of
from edgetransfer.types import Preprocessing

PROBABILITIES = "probabilities"
PIXELS = "pixels"  # of the node names that normalise
SMALLEST = 1e-30  # length of a row of features that is not zero


def merged(
    backbone: Backbone,
    head: LinearHead,
    *,
    preprocessing_inside: bool = False,
    unknown_below: float | None = None,
    open_batch: bool = True,
) -> onnx.ModelProto:
    """Backbone and head as one graph; see `edgetransfer.merging.metadata` for what it says.

    The weights, and so their zeros, are the backbone's own.

    Parameters
    ----------
    preprocessing_inside
        Take (n, S, S, 3) uint8 RGB and normalise in the graph; else (n, 3, S, S) float32.
    unknown_below
        Written to the metadata.
    open_batch
        Take any number of images at once, if the graph bears it, which is for the caller to
        try; else one.

    Raises
    ------
    BackboneError
        If the graph cannot take the size of the preprocessing.
    """
    size = backbone.preprocessing.size
    base = with_open_batch(backbone.body, size=size) if open_batch else backbone.frozen(1)
    model = onnx.ModelProto()
    model.CopyFrom(base)
    batch = BATCH if open_batch else 1
    if preprocessing_inside:
        _normalise_inside(model, backbone.preprocessing, batch)
    _add_head(model, head, batch)
    card = replace(backbone.card, sha256=None, features=OUTPUT)
    said = written(
        head.classes,
        backbone.preprocessing,
        inside=preprocessing_inside,
        unknown_below=unknown_below,
    )
    if head.map.name != "raw":
        said[MAP_KEY] = head.map.name
    if head.novelty is not None:
        said[DISTANCE_KEY] = said_of(head.novelty)
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_toml(), **said})
    return model


def _add_head(model: onnx.ModelProto, head: LinearHead, batch: int | str) -> None:
    graph = model.graph
    prefix = _unused(model, "head")
    logits = f"{prefix}/logits"
    take_name(model, PROBABILITIES)
    mapped = _add_map(model, head.map, prefix)
    graph.node.append(
        onnx.helper.make_node("Gemm", [mapped, f"{prefix}/weights", f"{prefix}/bias"], [logits])
    )
    graph.node.append(onnx.helper.make_node("Softmax", [logits], [PROBABILITIES], axis=1))
    graph.initializer.append(numpy_helper.from_array(head.weights, f"{prefix}/weights"))
    graph.initializer.append(numpy_helper.from_array(head.bias, f"{prefix}/bias"))
    del graph.output[:]
    shape = [batch, len(head.classes)]
    graph.output.append(
        onnx.helper.make_tensor_value_info(PROBABILITIES, onnx.TensorProto.FLOAT, shape)
    )
    if head.novelty is not None:
        add_distance(model, head.novelty, mapped, _unused(model, "unknown"), batch)


def _add_map(model: onnx.ModelProto, feature_map: FeatureMap, prefix: str) -> str:
    """What the head does to features first; returns the tensor that its weights take."""
    graph, name, x = model.graph, feature_map.name, OUTPUT

    def add(operator: str, inputs: list[str], output: str) -> str:
        graph.node.append(onnx.helper.make_node(operator, inputs, [f"{prefix}/{output}"]))
        return f"{prefix}/{output}"

    def store(value: Array, called: str) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"{prefix}/{called}"))
        return f"{prefix}/{called}"

    if name.startswith("power"):
        root = add("Sqrt", [add("Abs", [x], "size")], "root")
        x = add("Mul", [root, add("Sign", [x], "sign")], "power")
    if name not in ("raw", "power"):
        squares = add("Mul", [x, x], "squares")
        total = add("ReduceSum", [squares, store(np.array([1], np.int64), "axis")], "total")
        length = add("Sqrt", [total], "length")
        # A row of zeros stays one.
        least = store(np.array(SMALLEST, np.float32), "least")
        x = add("Div", [x, add("Max", [length, least], "divisor")], "unit")
    if feature_map.projection is not None:
        turned = add("MatMul", [x, store(feature_map.projection, "projection")], "turned")
        x = add("Relu", [turned], "rectified")
    return x


def _normalise_inside(
    model: onnx.ModelProto, preprocessing: Preprocessing, batch: int | str
) -> None:
    """Put before the graph what `edgetransfer.images.normalise` does to pixels."""
    graph, size = model.graph, preprocessing.size
    prefix = _unused(model, PIXELS)
    for node in graph.node:
        node.input[:] = [f"{prefix}/normal" if name == INPUT else name for name in node.input]
    order = ["RGB".index(channel) for channel in preprocessing.channels]
    std = np.asarray(preprocessing.std, np.float64)[order]
    mean = np.asarray(preprocessing.mean, np.float64)[order]
    constants: dict[str, Array] = {
        "scale": (1 / (255 * std)).astype(np.float32).reshape(1, 3, 1, 1),
        "shift": (-mean / std).astype(np.float32).reshape(1, 3, 1, 1),
    }
    planes = "planes"
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Cast", [INPUT], "float", {"to": onnx.TensorProto.FLOAT}),
        ("Transpose", [f"{prefix}/float"], planes, {"perm": [0, 3, 1, 2]}),
    ]
    if order != [0, 1, 2]:
        constants["order"], planes = np.array(order, np.int64), "ordered"
        steps.append(("Gather", [f"{prefix}/planes", f"{prefix}/order"], planes, {"axis": 1}))
    steps += [
        ("Mul", [f"{prefix}/{planes}", f"{prefix}/scale"], "scaled", {}),
        ("Add", [f"{prefix}/scaled", f"{prefix}/shift"], "normal", {}),
    ]
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, f"{prefix}/{name}"))
    made = [
        onnx.helper.make_node(kind, inputs, [f"{prefix}/{output}"], **options)
        for kind, inputs, output, options in steps
    ]
    nodes = [*made, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    shape = [batch, size, size, 3]
    fed = onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, shape)
    graph.input[0].CopyFrom(fed)


def _unused(model: onnx.ModelProto, wanted: str) -> str:
    """The wanted prefix of tensor names, or one with a number that no tensor has."""
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    taken.update(tensor.name for tensor in model.graph.initializer)
    numbered = (wanted if i == 0 else f"{wanted}{i}" for i in range(len(taken) + 1))
    return next(p for p in numbered if not any(name.startswith(f"{p}/") for name in taken))
