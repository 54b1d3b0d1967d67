"""An ONNX graph with the look-ups that reading and cutting it need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[Any]
STANDARD = ("", "ai.onnx")
LARGE = 256  # weights with more values than this are left out of a skeleton


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of one attribute of a node, or the default."""
    for item in node.attribute:
        if item.name == name:
            return onnx.helper.get_attribute_value(item)
    return default


def graphs_in(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds (branches, bodies), and those inside them."""
    for item in node.attribute:
        for graph in (*((item.g,) if item.HasField("g") else ()), *item.graphs):
            yield graph
            for inner in graph.node:
                yield from graphs_in(inner)


def reads(node: onnx.NodeProto) -> list[str]:
    """What a node reads, by its inputs and by the graphs that it holds from around them."""
    found = [name for name in node.input if name]
    for item in node.attribute:
        for graph in (*((item.g,) if item.HasField("g") else ()), *item.graphs):
            own = {value.name for value in graph.input}
            own.update(tensor.name for tensor in graph.initializer)
            for inner in graph.node:
                found += [name for name in reads(inner) if name not in own]
                own.update(inner.output)
            found += [value.name for value in graph.output if value.name not in own]
    return found


def label(node: onnx.NodeProto) -> str:
    """A node as messages call it."""
    name = node.name or next((out for out in node.output if out), "without a name")
    kind = f"{node.domain}.{node.op_type}" if node.domain not in STANDARD else node.op_type
    return f"{kind} {name!r}"


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operator set that a model imports."""
    return max((o.version for o in model.opset_import if o.domain in STANDARD), default=1)


def dims_of(value: onnx.ValueInfoProto) -> list[int | None]:
    """The shape of a declared tensor; None for a dimension that is open."""
    shape = value.type.tensor_type.shape
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in shape.dim]


def constant_of(node: onnx.NodeProto) -> Array:
    """The value of a ``Constant`` node."""
    for item in node.attribute:
        value = onnx.helper.get_attribute_value(item)
        if item.name == "value":
            return np.asarray(numpy_helper.to_array(value))
        if item.name == "sparse_value":
            return dense_of(value)
        if item.name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if item.name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise ValueError(f"Constant node {node.name!r} holds no tensor")


def dense_of(tensor: onnx.SparseTensorProto) -> Array:
    """A sparse tensor of the standard, written out densely."""
    values = numpy_helper.to_array(tensor.values)
    indices = numpy_helper.to_array(tensor.indices)
    dense = np.zeros(tuple(tensor.dims), values.dtype)
    if indices.ndim == 2:
        dense[tuple(indices.T)] = values
    else:
        dense.reshape(-1)[indices] = values
    return dense


class Graph:
    """Look-ups over one model's main graph; the model is not changed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.proto = model.graph

    @cached_property
    def initializers(self) -> dict[str, onnx.TensorProto]:
        """The graph's stored tensors by name."""
        return {t.name: t for t in self.proto.initializer}

    @cached_property
    def producers(self) -> dict[str, onnx.NodeProto]:
        """The node that makes each tensor."""
        return {out: node for node in self.proto.node for out in node.output if out}

    @cached_property
    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """The nodes that read each tensor."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.proto.node:
            for name in (*node.input, *(n for n in reads(node) if n not in node.input)):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def constants(self) -> frozenset[str]:
        """Tensors that do not depend on the graph's input."""
        known = set(self.initializers)
        for node in self.proto.node:
            if all(name in known for name in reads(node)):
                known.update(node.output)
        return frozenset(known)

    @cached_property
    def inputs(self) -> list[onnx.ValueInfoProto]:
        """The graph's inputs without the initializers that old files list among them."""
        return [value for value in self.proto.input if value.name not in self.initializers]

    def array(self, name: str) -> Array | None:
        """The value of an initializer, a constant, or a dequantised constant; else None."""
        if name in self.initializers:
            return np.asarray(numpy_helper.to_array(self.initializers[name]))
        node = self.producers.get(name)
        if node is None or name not in self.constants:
            return None
        if node.op_type == "Constant":
            return constant_of(node)
        if node.op_type == "DequantizeLinear":
            return self._dequantised(node)
        if node.op_type in ("Identity", "QuantizeLinear"):
            return self.array(node.input[0])
        return None

    def _dequantised(self, node: onnx.NodeProto) -> Array | None:
        values, scale = self.array(node.input[0]), self.array(node.input[1])
        if values is None or scale is None:
            return None
        zero = self.array(node.input[2]) if len(node.input) > 2 else None
        axis = attribute(node, "axis", 1)
        if scale.ndim == 1 and scale.size > 1:
            shape = [1] * values.ndim
            shape[axis] = scale.size
            scale = scale.reshape(shape)
            zero = zero.reshape(shape) if zero is not None else None
        offset = 0 if zero is None else zero.astype(np.float32)
        result: Array = (values.astype(np.float32) - offset) * scale
        return result

    def ancestors(self, tensors: Iterable[str]) -> Iterator[onnx.NodeProto]:
        """The nodes that the tensors are made by, in graph order."""
        wanted, needed = set(tensors), set()
        for index in range(len(self.proto.node) - 1, -1, -1):
            node = self.proto.node[index]
            if any(out in wanted for out in node.output):
                needed.add(index)
                wanted.update(reads(node))
        return (node for i, node in enumerate(self.proto.node) if i in needed)


def subgraph(
    model: onnx.ModelProto, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """The part of a model between some tensors and others, as a model of its own.

    Nodes before ``inputs`` and after ``outputs`` are dropped, with their initializers.
    """
    graph = Graph(model)
    given = {value.name for value in inputs}
    wanted = {value.name for value in outputs}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if any(out in wanted and out not in given for out in node.output):
            nodes.append(node)
            wanted.update(reads(node))
    nodes.reverse()
    kept = onnx.helper.make_graph(
        nodes,
        model.graph.name or "backbone",
        inputs,
        outputs,
        [t for name, t in graph.initializers.items() if name in wanted and name not in given],
    )
    result = onnx.helper.make_model(kept, opset_imports=model.opset_import)
    result.ir_version = model.ir_version
    return result


def skeleton_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model whose large float weights keep their shape but have no values.

    Shape inference and opset conversion do not look at them, and copy everything several times.
    """
    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.metadata_props.extend(model.metadata_props)
    light.functions.extend(model.functions)
    graph = light.graph
    graph.name = model.graph.name or "backbone"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) > LARGE:
            hollow = graph.initializer.add()
            hollow.name, hollow.data_type = tensor.name, tensor.data_type
            hollow.dims.extend(tensor.dims)
        else:
            graph.initializer.append(tensor)
    return light


def fill_in(skeleton: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Give a skeleton the values of the model that it was made from; by name."""
    values = {t.name: t for t in model.graph.initializer}
    for tensor in skeleton.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(values[tensor.name])
