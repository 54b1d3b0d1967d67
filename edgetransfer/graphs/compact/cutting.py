"""The same network without its dead channels."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.graphs.compact.analysis import DeadChannels, find_dead_channels
from edgetransfer.graphs.compact.channels import ELEMENTWISE, Bools, Layer
from edgetransfer.graphs.compact.constants import bias_of, foldable
from edgetransfer.graphs.graph import Array, Graph


def compact(
    model: onnx.ModelProto, *, keep: frozenset[str] = frozenset()
) -> tuple[onnx.ModelProto, DeadChannels]:
    """Cut dead channels away; outputs are the same up to rounding.

    What constant channels added goes into biases. Names of tensors and weights stay.

    Parameters
    ----------
    model, keep
        As in `find_dead_channels`; the model is not changed.

    Returns
    -------
    The smaller model, and what was found dead.
    """
    found = find_dead_channels(model, keep=keep)
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    cutter = _Cutter(smaller, found)
    layers = {layer.node.output[0]: layer for layer in found.channels.layers}
    for node in smaller.graph.node:
        if node.output[0] in layers:
            cutter.layer(node, layers[node.output[0]])
        elif node.op_type == "BatchNormalization":
            kept = found.kept(node.input[0])
            for position in range(1, len(node.input)):
                cutter.select(node, position, kept)
        elif node.op_type in ELEMENTWISE:
            cutter.constants(node)
    cutter.finish()
    return smaller, found


class _Cutter:
    """Rewrites one model; a weight that several nodes read becomes one for each."""

    def __init__(self, model: onnx.ModelProto, found: DeadChannels) -> None:
        self.model, self.found = model, found
        self.graph = Graph(model)
        self.stored = dict(self.graph.initializers)
        self.readers = {name: len(nodes) for name, nodes in self.graph.consumers.items()}
        self.written: dict[str, onnx.TensorProto] = {}

    def array(self, name: str) -> Array:
        return np.asarray(numpy_helper.to_array(self.stored[name]))

    def put(self, node: onnx.NodeProto, position: int, name: str, values: Array) -> None:
        """Give a node's input new values, under the name that it had or a new one."""
        if self.readers.get(name, 0) > 1 or name in self.written:
            taken = self.stored.keys() | self.written.keys() | self.graph.producers.keys()
            count = 2
            while f"{name}.{count}" in taken:
                count += 1
            name = f"{name}.{count}"
        while len(node.input) <= position:
            node.input.append("")
        node.input[position] = name
        self.written[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)

    def select(self, node: onnx.NodeProto, position: int, kept: Bools | None) -> None:
        if kept is not None:
            name = node.input[position]
            self.put(node, position, name, self.array(name)[kept])

    def constants(self, node: onnx.NodeProto) -> None:
        """Cut the stored operand of an elementwise operator."""
        kept = self.found.kept(node.output[0])
        for position, name in enumerate(node.input):
            if kept is not None and name in self.stored:
                values = self.array(name)
                if values.size == len(kept) > 1:
                    axis = int(np.argmax(values.shape))
                    self.put(node, position, name, np.compress(kept, values, axis=axis))

    def layer(self, node: onnx.NodeProto, layer: Layer) -> None:
        source = node.input[0]
        outputs = self.found.kept(node.output[0])
        inputs = None if layer.depthwise else self.found.kept(source)
        if outputs is None and inputs is None:
            return
        self._move_constants(node, layer, inputs, outputs)
        weights = self.array(layer.weights)
        rows, columns = (1, 0) if layer.flipped else (0, 1)
        if outputs is not None:
            weights = np.compress(outputs, weights, axis=rows)
        if inputs is not None:
            weights = np.compress(inputs, weights, axis=columns)
        self.put(node, 1, layer.weights, weights)
        if layer.depthwise:
            for item in node.attribute:
                if item.name == "group":
                    item.i = len(weights)

    def _move_constants(
        self, node: onnx.NodeProto, layer: Layer, inputs: Bools | None, outputs: Bools | None
    ) -> None:
        """Put what cut constant inputs added into the bias, and cut the bias."""
        bias = bias_of(layer, self.graph)
        added = np.zeros(len(bias))
        if inputs is not None:
            constants = self.found.constants[node.input[0]]
            gone = ~inputs & foldable(layer, constants)
            added = layer.totals @ np.where(gone, constants, 0.0)
        if layer.bias is None and not added.any():
            return
        bias = (bias + added).astype(np.float32)
        name = layer.bias or f"{layer.weights}.constant_inputs"
        self.put(node, 2, name, bias if outputs is None else bias[outputs])

    def finish(self) -> None:
        """Write the changed weights into the model and drop what nobody reads any more."""
        used = {name for node in self.model.graph.node for name in node.input}
        used |= {value.name for value in self.model.graph.output}
        kept = {name: tensor for name, tensor in self.stored.items() if name in used}
        kept |= self.written
        copies = []
        for tensor in kept.values():
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copies.append(copy)
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(copies)
        del self.model.graph.value_info[:]
