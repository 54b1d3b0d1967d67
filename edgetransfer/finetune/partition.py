"""Where training begins: the frozen part of a backbone for an engine, the rest for torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx

from edgetransfer.errors import UsageError
from edgetransfer.finetune.initializers import WEIGHTED
from edgetransfer.graphs.graph import Graph, dims_of, subgraph

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A frozen backbone in two parts.

    Parameters
    ----------
    frozen
        From ``images`` (batch, 3, S, S) to ``features`` (batch, sum of sizes): the tensors that
        the second part reads, each flattened, side by side. None if all is trained.
    trained
        From those tensors to the backbone's features.
    shapes
        Of the second part's inputs, for one image.
    first
        The weights at which training begins.
    """

    frozen: onnx.ModelProto | None
    trained: onnx.ModelProto
    shapes: tuple[Shape, ...]
    first: str


def partition(model: onnx.ModelProto, from_layer: str | None) -> Partition:
    """Cut a frozen backbone where training begins.

    What does not depend on a trained layer is frozen, also where it comes later in the file.

    Parameters
    ----------
    from_layer
        The name of weights (as ``edgetransfer inspect`` shows them), of a node, or of a tensor:
        training begins there. All is trained if None.

    Raises
    ------
    UsageError
        If there is no such layer, or no weights come after it.
    """
    nodes = list(model.graph.node)
    index = 0 if from_layer is None else _position(model, from_layer)
    trained = _descendants(model, index)
    layers = [node for i, node in enumerate(nodes) if i in trained and node.op_type in WEIGHTED]
    if not layers:
        raise UsageError(f"--from-layer {from_layer}: no weights come after it, nothing to train")
    made = {out for i in trained for out in nodes[i].output}
    constants = Graph(model).constants
    read = {name for i in trained for name in nodes[i].input if name} - made - constants
    images = {value.name for value in model.graph.input}
    first = layers[0].input[1]
    if read & images:
        shape = _shapes(model)[next(iter(images))]
        return Partition(frozen=None, trained=model, shapes=(shape,), first=first)
    boundary = [out for node in nodes for out in node.output if out in read]
    shapes = _shapes(model)
    values = [_value(name, model, shapes[name]) for name in boundary]
    return Partition(
        frozen=_flattened(subgraph(model, list(model.graph.input), values), boundary, shapes),
        trained=subgraph(model, values, list(model.graph.output)),
        shapes=tuple(shapes[name] for name in boundary),
        first=first,
    )


def last_block(model: onnx.ModelProto) -> str:
    """The first weights of the last block.

    A block begins where one tensor carries all that is known of the image, and the last one is
    the smallest of these ends of the graph that has two layers or more.
    """
    nodes, constants = list(model.graph.node), Graph(model).constants
    layers = [i for i, node in enumerate(nodes) if node.op_type in WEIGHTED]
    for i in reversed(layers[:-1]):
        made = {out for node in nodes[i:] for out in node.output}
        if len({n for node in nodes[i:] for n in node.input if n} - made - constants) == 1:
            return str(nodes[i].input[1])
    return str(nodes[layers[0]].input[1])


def _position(model: onnx.ModelProto, name: str) -> int:
    """The index of the first node of which a person gave the name."""
    nodes = list(model.graph.node)
    matches: list[Callable[[onnx.NodeProto], bool]] = [
        lambda node: name in list(node.input)[1:] or node.name == name,
        lambda node: name in node.input,
    ]
    for match in matches:
        for index, node in enumerate(nodes):
            if match(node):
                return index
    layers = [node.input[1] for node in nodes if node.op_type in WEIGHTED]
    shown = ", ".join(layers if len(layers) <= 8 else [*layers[:3], "…", *layers[-5:]])
    raise UsageError(f"--from-layer {name}: the backbone has no such layer; its layers: {shown}")


def _descendants(model: onnx.ModelProto, index: int) -> frozenset[int]:
    """The nodes from ``index`` on that have weights of their own, and all that follow these."""
    constants = Graph(model).constants
    moved: set[str] = set()
    found = set()
    for i, node in enumerate(model.graph.node):
        learns = i >= index and any(name in constants for name in node.input)
        if learns or moved & set(node.input):
            found.add(i)
            moved.update(node.output)
    return frozenset(found)


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """The shape of every tensor for one image."""
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    return {value.name: tuple(d or 0 for d in dims_of(value)[1:]) for value in values}


def _value(name: str, model: onnx.ModelProto, shape: Shape) -> onnx.ValueInfoProto:
    batch = dims_of(model.graph.input[0])[0]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, *shape])


def _flattened(
    model: onnx.ModelProto, boundary: Sequence[str], shapes: dict[str, Shape]
) -> onnx.ModelProto:
    """Give a model one output, ``features``: its outputs flattened, side by side."""
    flat = [f"features_{i}" for i in range(len(boundary))] if len(boundary) > 1 else ["features"]
    nodes = [
        onnx.helper.make_node("Flatten", [name], [out], axis=1)
        for name, out in zip(boundary, flat, strict=True)
    ]
    if len(flat) > 1:
        nodes.append(onnx.helper.make_node("Concat", flat, ["features"], axis=1))
    model.graph.node.extend(nodes)
    total = sum(size_of(shapes[name]) for name in boundary)
    del model.graph.output[:]
    model.graph.output.append(_value("features", model, (total,)))
    return model


def size_of(shape: Shape) -> int:
    """How many numbers a tensor of that shape holds."""
    total = 1
    for side in shape:
        total *= side
    return total
