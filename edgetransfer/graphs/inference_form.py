"""Training's operators in the form that they have when a network is used.

A network that was exported without ``model.eval()`` normalises by its batch and drops activations
at random: features then depend on which pictures stand beside one, and differ at every call. The
running averages are in the file, so the form that was meant can be had.
"""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import STANDARD, Graph, attribute, label, opset_of, reads

RANDOM = frozenset(
    (
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"),
        "Multinomial",
    )
)


def bring_to_inference_form(model: onnx.ModelProto) -> tuple[str, ...]:
    """Take training out of batch normalisation and dropout.

    Returns
    -------
    A sentence each for what was changed in a way that a person should know of.

    Raises
    ------
    BackboneError
        If the graph draws random numbers, or reads what only training makes.
    """
    graph = Graph(model)
    read = {n for node in model.graph.node for n in reads(node)}
    read |= {value.name for value in model.graph.output}
    opset = opset_of(model)
    normalised = dropped = 0
    for node in model.graph.node:
        if node.domain not in STANDARD:
            continue
        if node.op_type in RANDOM:
            raise BackboneError(
                f"node {label(node)} draws random numbers, so that no two calls make the same "
                "features; export the network in evaluation mode (in torch: model.eval())"
            )
        if node.op_type == "BatchNormalization":
            normalised += _normalise(node, read, opset)
        elif node.op_type == "Dropout":
            dropped += _keep(node, graph, read)
    found = [(normalised, "normalised by the batch"), (dropped, "dropped activations at random")]
    told = " and ".join(f"{count} layers {what}" for count, what in found if count)
    if not told:
        return ()
    return (
        f"exported in training mode: {told.replace('1 layers', '1 layer')}; they are read in "
        "their inference form, by the file's running averages. If those were never trained, "
        "export the network anew (in torch: model.eval())",
    )


def _normalise(node: onnx.NodeProto, read: set[str], opset: int) -> bool:
    extra = [name for name in node.output[1:] if name]
    # Up to opset 13, outputs beside the first one mean training.
    training = bool(attribute(node, "training_mode", 0)) if opset >= 14 else bool(extra)
    if any(name in read for name in extra):
        raise BackboneError(
            f"node {label(node)} is in training mode and its batch statistics are read; export "
            "the network in evaluation mode (in torch: model.eval())"
        )
    del node.output[1:]
    _drop_attribute(node, "training_mode")
    return training


def _keep(node: onnx.NodeProto, graph: Graph, read: set[str]) -> bool:
    mode = graph.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    given = len(node.input) > 2 and bool(node.input[2])
    training = given and (mode is None or bool(np.any(mode)))
    mask = node.output[1] if len(node.output) > 1 else ""
    if training and mask in read:
        raise BackboneError(
            f"node {label(node)} drops activations at random and its mask is read; export the "
            "network in evaluation mode (in torch: model.eval())"
        )
    del node.input[1:]
    _drop_attribute(node, "seed")
    if mask and mask not in read:
        del node.output[1:]
    return training


def _drop_attribute(node: onnx.NodeProto, name: str) -> None:
    for item in [a for a in node.attribute if a.name == name]:
        node.attribute.remove(item)
