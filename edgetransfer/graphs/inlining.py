"""Functions that a model defines for itself, and branches that are decided, put in their place.

Exporters write a network's own layers as functions of the model (section "Functions" of the ONNX
IR) and rank checks as ``If`` nodes; engines and the rest of the house read plain nodes only.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import STANDARD, graphs_in, label, opset_of
from edgetransfer.graphs.structure import MOST_DEPTH, MOST_NODES

Key = tuple[str, str, str]


def inline_functions(model: onnx.ModelProto) -> None:
    """Put the nodes of a model's functions where they are called; the functions are dropped.

    Raises
    ------
    BackboneError
        If a function calls itself, the nodes would be too many, or it was written for another
        operator set.
    """
    if not model.functions:
        return
    functions = {_key(function): function for function in model.functions}
    budget = _Budget()
    bodies = [model.graph, *(g for node in model.graph.node for g in graphs_in(node))]
    for graph in bodies:
        nodes = _expanded(graph.node, functions, opset_of(model), budget, 0)
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    known = {o.domain for o in model.opset_import}
    for function in model.functions:
        for item in function.opset_import:
            if item.domain not in known and item.domain not in STANDARD:
                known.add(item.domain)
                model.opset_import.append(item)
    del model.functions[:]


class _Budget:
    """Counts what has been written: functions of functions grow without bound."""

    def __init__(self) -> None:
        self.nodes = 0
        self.calls = 0

    def take(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise BackboneError(
                f"its functions written out have more than {MOST_NODES} nodes; no network of "
                "images has so many"
            )


def _key(item: onnx.FunctionProto | onnx.NodeProto) -> Key:
    name = item.op_type if isinstance(item, onnx.NodeProto) else item.name
    return item.domain, name, getattr(item, "overload", "")


def _expanded(
    nodes: Iterable[onnx.NodeProto],
    functions: dict[Key, onnx.FunctionProto],
    opset: int,
    budget: _Budget,
    depth: int,
) -> list[onnx.NodeProto]:
    found: list[onnx.NodeProto] = []
    for node in nodes:
        function = functions.get(_key(node))
        if function is None:
            budget.take(1)
            found.append(node)
            continue
        if depth >= MOST_DEPTH:
            raise BackboneError(f"function {function.name!r} calls itself, or is nested too deep")
        _check_opset(function, opset)
        found += _expanded(_called(function, node, budget), functions, opset, budget, depth + 1)
    return found


def _check_opset(function: onnx.FunctionProto, opset: int) -> None:
    theirs = max((o.version for o in function.opset_import if o.domain in STANDARD), default=opset)
    if theirs == opset:
        return
    for node in function.node:
        if node.domain in STANDARD and _since(node, theirs) != _since(node, opset):
            raise BackboneError(
                f"function {function.name!r} is written for opset {theirs}, the model for {opset}, "
                f"and {node.op_type} means another thing there; export the model with one opset"
            )


def _since(node: onnx.NodeProto, opset: int) -> int:
    newest = min(opset, onnx.defs.onnx_opset_version())
    try:
        return int(onnx.defs.get_schema(node.op_type, newest, "").since_version)
    except Exception:  # SchemaError stands in different modules, by release
        return -1


def _called(
    function: onnx.FunctionProto, call: onnx.NodeProto, budget: _Budget
) -> list[onnx.NodeProto]:
    """A function's nodes with the call's tensors and attributes in place of its own."""
    budget.calls += 1
    prefix = f"{call.name or call.output[0]}/{budget.calls}/"
    if len(call.input) > len(function.input) or len(call.output) > len(function.output):
        raise BackboneError(f"node {label(call)} has more inputs or outputs than its function")
    names = dict.fromkeys(function.input, "") | dict(zip(function.input, call.input, strict=False))
    outer = {i: o for i, o in zip(function.output, call.output, strict=False) if o}
    names |= {inner: name for inner, name in outer.items() if inner not in function.input}
    given = {a.name: a for a in getattr(function, "attribute_proto", ())}
    given |= {a.name: a for a in call.attribute}
    made: list[onnx.NodeProto] = []
    for node in function.node:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.name = f"{prefix}{node.name or node.op_type}"
        _rename(copy, names, prefix)
        _fill_attributes(copy, given)
        made.append(copy)
    passed = [inner for inner in outer if inner in function.input]
    made += [onnx.helper.make_node("Identity", [names[i]], [outer[i]]) for i in passed]
    return made


def _rename(node: onnx.NodeProto, names: dict[str, str], prefix: str) -> None:
    """Rename a node's tensors; what it makes gets a name of its own unless it has one given."""

    def new(name: str) -> str:
        return names.setdefault(name, prefix + name) if name else ""

    node.input[:] = [new(name) for name in node.input]
    for graph in graphs_in(node):
        for item in (*graph.input, *graph.output, *graph.initializer):
            item.name = new(item.name)
        for sparse in graph.sparse_initializer:
            sparse.values.name = new(sparse.values.name)
        for inner in graph.node:
            inner.input[:] = [new(name) for name in inner.input]
            inner.output[:] = [new(name) for name in inner.output]
    node.output[:] = [new(name) for name in node.output]


def _fill_attributes(node: onnx.NodeProto, given: dict[str, onnx.AttributeProto]) -> None:
    inner = [n for graph in graphs_in(node) for n in graph.node]
    for each in (node, *inner):
        kept: list[onnx.AttributeProto] = []
        for item in each.attribute:
            if not item.ref_attr_name:
                kept.append(item)
            elif item.ref_attr_name in given:
                value = onnx.AttributeProto()
                value.CopyFrom(given[item.ref_attr_name])
                value.name = item.name
                kept.append(value)
        copies = [onnx.AttributeProto.FromString(item.SerializeToString()) for item in kept]
        del each.attribute[:]
        each.attribute.extend(copies)


def branch_taken(node: onnx.NodeProto, condition: bool, prefix: str) -> onnx.GraphProto:
    """A copy of the branch of an ``If`` that a condition leads to, under names of its own.

    Its outputs have the names of the node's outputs; what it reads from around it keeps its
    name.

    Raises
    ------
    BackboneError
        If the node has no such branch, or it makes another number of outputs.
    """
    wanted = "then_branch" if condition else "else_branch"
    found = [item.g for item in node.attribute if item.name == wanted and item.HasField("g")]
    if not found or len(found[0].output) < len(node.output):
        raise BackboneError(f"node {label(node)} has no whole {wanted}")
    branch = onnx.GraphProto()
    branch.CopyFrom(found[0])
    own = {t.name for t in branch.initializer} | {s.values.name for s in branch.sparse_initializer}
    own |= {out for inner in branch.node for out in inner.output if out}
    names = {name: f"{prefix}{name}" for name in own}
    passed: list[onnx.NodeProto] = []
    for value, output in zip(branch.output, node.output, strict=False):
        made = any(value.name in inner.output for inner in branch.node)
        if made and names[value.name].startswith(prefix):
            names[value.name] = output
        else:  # a weight, a tensor from outside, or one that is an output already
            source = names.get(value.name, value.name)
            passed.append(onnx.helper.make_node("Identity", [source], [output]))
    for tensor in branch.initializer:
        tensor.name = names[tensor.name]
    for sparse in branch.sparse_initializer:
        sparse.values.name = names[sparse.values.name]
    for inner in branch.node:
        inner.name = f"{prefix}{inner.name}" if inner.name else ""
        _rename_known(inner, names)
    branch.node.extend(passed)
    return branch


def _rename_known(node: onnx.NodeProto, names: dict[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    for graph in graphs_in(node):
        for inner in graph.node:
            inner.input[:] = [names.get(name, name) for name in inner.input]
        for value in graph.output:
            value.name = names.get(value.name, value.name)
    node.output[:] = [names.get(name, name) for name in node.output]
