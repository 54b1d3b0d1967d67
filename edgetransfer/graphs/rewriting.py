"""Nodes that are put in the place of one node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from edgetransfer.graphs.shapes import tensor_of

Rewrite = Callable[["Replacement", onnx.NodeProto], bool]


class Replacement:
    """The nodes and constants that one node is replaced by.

    Parameters
    ----------
    node
        What is replaced; its outputs keep their names.
    opset
        Of the standard operators that are written.
    taken
        Names that are used; grows.
    """

    def __init__(self, node: onnx.NodeProto, opset: int, taken: set[str]) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._stem = next(out for out in node.output if out)
        self._taken = taken

    def name(self) -> str:
        """A name that nothing in the graph has."""
        count = len(self.nodes) + len(self.tensors)
        while (found := f"{self._stem}/part{count}") in self._taken:
            count += 1
        self._taken.add(found)
        return found

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """A constant; returns its name."""
        name = self.name()
        self.tensors.append(tensor_of(name, np.asarray(values, kind)))
        return name

    def add(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """A standard node of one output; returns the output's name."""
        made = out or self.name()
        self.nodes.append(
            onnx.helper.make_node(operator, list(inputs), [made], name=made, **attributes)
        )
        return made

    def mean(self, x: str, axes: list[int]) -> str:
        """The mean over some axes, which are kept; they became an input in opset 18."""
        if self.opset >= 18:
            return self.add("ReduceMean", x, self.constant(axes, np.int64), keepdims=1)
        return self.add("ReduceMean", x, axes=axes, keepdims=1)


def rewrite(model: onnx.ModelProto, table: dict[tuple[str, str], Rewrite], opset: int) -> None:
    """Replace the nodes of a main graph that a table knows.

    Parameters
    ----------
    table
        By domain and operator; an entry returns False to leave a node as it is.
    """
    if not any((node.domain, node.op_type) in table for node in model.graph.node):
        return
    taken = {t.name for t in model.graph.initializer} | {v.name for v in model.graph.input}
    taken |= {out for node in model.graph.node for out in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        known = table.get((node.domain, node.op_type))
        replacement = Replacement(node, opset, taken)
        if known is None or not known(replacement, node):
            nodes.append(node)
            continue
        nodes += replacement.nodes
        model.graph.initializer.extend(replacement.tensors)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
