"""Whether a parsed graph holds together, before native code reads it.

Order, names and sizes are checked here and not left to the onnx library: older releases end the
process on a stride of 0 or weights of five dimensions, and a node that reads its own output is a
walk without end.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import STANDARD, attribute, label, opset_of, reads
from edgetransfer.graphs.untrusted import graphs_of

MOST_NODES = 50_000  # the deepest networks of images have a few thousand
MOST_DEPTH = 8  # graphs inside graphs
WINDOWED = frozenset(
    (
        *("Conv", "ConvInteger", "QLinearConv", "ConvTranspose", "DeformConv", "FusedConv"),
        *("MaxPool", "AveragePool", "LpPool", "MaxUnpool", "QLinearAveragePool"),
    )
)
POSITIVE = ("strides", "dilations", "kernel_shape", "group", "blocksize", "num_groups")
LARGEST_WINDOW = 1 << 20  # pixels


def check_structure(model: onnx.ModelProto) -> None:
    """Bring the nodes into an order in which they can run, or refuse the graph.

    Raises
    ------
    BackboneError
        If a tensor is made twice or by nobody, a node reads what it makes itself, or sizes make
        no sense.
    """
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    if sum(_count(nodes, 0) for nodes in bodies) > MOST_NODES:
        raise BackboneError(f"more than {MOST_NODES} nodes; no network of images has so many")
    for function in model.functions:
        _check_nodes(function.node, set(function.input), set(), function.output)
    _check_graph(model.graph, set())
    opset = opset_of(model)
    for graph in graphs_of(model):
        for node in graph.node:
            _check_arity(node, opset)


def _check_arity(node: onnx.NodeProto, opset: int) -> None:
    """Whether a standard node has as many inputs and outputs as it must."""
    if node.domain not in STANDARD:
        return
    try:
        newest = min(opset, onnx.defs.onnx_opset_version())
        schema = onnx.defs.get_schema(node.op_type, newest, "")
    except Exception:  # SchemaError stands in different modules, by release
        return
    inputs, outputs = len(node.input), len(node.output)
    # A node of a later opset may have more than this release of the library knows.
    most = schema.max_input if opset == newest else inputs
    if not schema.min_input <= inputs <= most or outputs < schema.min_output:
        raise BackboneError(f"node {label(node)} has {inputs} inputs and {outputs} outputs")
    if any(not name for name in node.input[: schema.min_input]) or not any(node.output):
        raise BackboneError(f"node {label(node)} leaves out an input or output that it needs")


def _count(nodes: Iterable[onnx.NodeProto], depth: int) -> int:
    if depth > MOST_DEPTH:
        raise BackboneError(f"graphs are nested more than {MOST_DEPTH} deep")
    total = 0
    for node in nodes:
        total += 1
        for item in node.attribute:
            for graph in (*((item.g,) if item.HasField("g") else ()), *item.graphs):
                total += _count(graph.node, depth + 1)
    return total


def _check_graph(graph: onnx.GraphProto, outer: set[str]) -> None:
    stored = [t.name for t in graph.initializer]
    stored += [t.values.name for t in graph.sparse_initializer]
    if len(set(stored)) != len(stored):
        twice = next(name for name in stored if stored.count(name) > 1)
        raise BackboneError(f"the weights {twice!r} are stored twice")
    inputs = [value.name for value in graph.input]
    if len(set(inputs)) != len(inputs):
        raise BackboneError("two inputs have one name")
    _check_kernels(graph)
    given = {*stored, *inputs}
    _check_nodes(graph.node, given, outer, [value.name for value in graph.output])


def _check_kernels(graph: onnx.GraphProto) -> None:
    """The stored weights of convolutions have three dimensions at least, and hold something."""
    dims = {tensor.name: [*tensor.dims] for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in WINDOWED or "Conv" not in node.op_type:
            continue
        for shape in (dims[name] for name in node.input[1:] if len(dims.get(name, ())) > 1):
            if len(shape) < 3 or 0 in shape:
                raise BackboneError(f"node {label(node)}: weights of shape {shape} do not fit it")


def _check_nodes(
    nodes: list[onnx.NodeProto], given: set[str], outer: set[str], outputs: Iterable[str]
) -> None:
    """Check one list of nodes and sort it; ``nodes`` is a repeated field, changed in place."""
    made: dict[str, int] = {}
    for index, node in enumerate(nodes):
        _check_attributes(node)
        for name in node.output:
            if name and (name in made or name in given):
                raise BackboneError(f"tensor {name!r} is made twice (node {label(node)})")
            if name:
                made[name] = index
    known = given | outer
    for node in nodes:
        for name in reads(node):
            if name not in made and name not in known:
                raise BackboneError(
                    f"node {label(node)} reads {name!r}, which nothing makes; is the file complete?"
                )
    for name in outputs:
        if name not in made and name not in known:
            raise BackboneError(f"the output {name!r} is made by no node")
    _sort(nodes, made)
    inside = known | set(made)
    for node in nodes:
        for item in node.attribute:
            for graph in (*((item.g,) if item.HasField("g") else ()), *item.graphs):
                _check_graph(graph, inside)


def _sort(nodes: list[onnx.NodeProto], made: dict[str, int]) -> None:
    """Order nodes so that each reads what came before; an order that is fine is kept."""
    needs = [{made[name] for name in reads(node) if name in made} for node in nodes]
    if all(max(before, default=-1) < index for index, before in enumerate(needs)):
        return
    readers: dict[int, list[int]] = {}
    for index, before in enumerate(needs):
        for producer in before:
            readers.setdefault(producer, []).append(index)
    waiting = [len(before) for before in needs]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, []):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        raise BackboneError(f"node {label(stuck)} reads what is made from its own output")
    copies = [onnx.NodeProto.FromString(nodes[index].SerializeToString()) for index in order]
    del nodes[:]
    nodes.extend(copies)


def _check_attributes(node: onnx.NodeProto) -> None:
    names = [item.name for item in node.attribute]
    if len(set(names)) != len(names):
        raise BackboneError(f"node {label(node)} has an attribute twice")
    for name in POSITIVE:
        value = attribute(node, name)
        numbers = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(n, int) and n > 0 for n in numbers):
            raise BackboneError(f"node {label(node)} has {name} {value}; they must be positive")
        # The onnx library divides by their squares, in 64 bits.
        if value is not None and max(numbers, default=1) > LARGEST_WINDOW:
            raise BackboneError(f"node {label(node)}: {name} {value} are out of range")
    if node.op_type in WINDOWED:
        _check_window(node)


def _check_window(node: onnx.NodeProto) -> None:
    lengths: dict[str, int] = {}
    for name in ("strides", "dilations", "kernel_shape", "pads", "output_padding"):
        value = attribute(node, name)
        if value is None:
            continue
        if not isinstance(value, list) or not all(isinstance(n, int) for n in value):
            raise BackboneError(f"node {label(node)}: {name} is no list of whole numbers")
        if any(not 0 <= n <= LARGEST_WINDOW for n in value):
            raise BackboneError(f"node {label(node)}: {name} {value} are out of range")
        if value:
            lengths[name] = len(value) // 2 if name == "pads" else len(value)
    if len(set(lengths.values())) > 1:
        raise BackboneError(f"node {label(node)}: strides, pads and kernel differ in dimensions")
