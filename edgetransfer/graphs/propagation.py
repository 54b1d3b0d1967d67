"""One walk along a graph: values where they are known, shapes and kinds elsewhere.

What depends on constants and shapes alone is computed on the way (paddings worked out in the
graph, class tokens, standardised weights), and branches that are decided by it are put in place
of their ``If``. The first node at which knowledge stops is kept with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.folding.bounds import TooLargeError
from edgetransfer.graphs.folding.evaluation import evaluate
from edgetransfer.graphs.folding.rearranging import shape_value
from edgetransfer.graphs.graph import (
    LARGE,
    STANDARD,
    Array,
    attribute,
    graphs_in,
    label,
    opset_of,
    reads,
)
from edgetransfer.graphs.inlining import branch_taken
from edgetransfer.graphs.shapes import Kind, declared, infer, kind_of, tensor_of
from edgetransfer.graphs.structure import MOST_NODES
from edgetransfer.graphs.untrusted import one_line

LARGEST_ACTIVATION = 1 << 28  # values for one picture: 1 GiB of float32
# Values of all that is computed ahead together: 128 MiB, and more where the file itself is large.
LARGEST_CONSTANTS, PER_STORED = 1 << 25, 4
FOLDABLE = frozenset((*range(1, 8), 9, *range(10, 14)))  # kinds that numpy computes in


@dataclass(frozen=True)
class Stop:
    """A node whose result's shape cannot be told, and why."""

    outputs: tuple[str, ...]
    reason: str


@dataclass
class Walk:
    """What is known of a graph's tensors so far; filled node by node.

    Parameters
    ----------
    model
        Its nodes and initializers are replaced at the end of the walk.
    shaped
        Whether the input's shape is fixed, so that shapes are told; else only values are.
    adapt
        Called with each node before anything is told of it; it may change the node.
    weights
        The model's initializers, where they stand in another one: a large network's are not
        copied more often than they must.
    """

    model: onnx.ModelProto
    shaped: bool
    adapt: Callable[[Walk, onnx.NodeProto], None] | None = None
    weights: Iterable[onnx.TensorProto] | None = None
    kinds: dict[str, Kind] = field(default_factory=dict)
    stored: dict[str, onnx.TensorProto] = field(default_factory=dict)
    stops: list[Stop] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    other_names: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    branches: int = 0

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.outputs = {value.name for value in graph.output}
        self.read = {n for node in graph.node for n in reads(node)} | self.outputs
        for tensor in graph.initializer if self.weights is None else self.weights:
            self.store(tensor)
        stored = sum(math.prod(tensor.dims) for tensor in self.stored.values())
        self.most_computed = LARGEST_CONSTANTS + PER_STORED * stored
        for value in graph.input:
            kind = kind_of(value)
            if kind is not None and self.shaped:
                self.kinds[value.name] = kind
                self._check_activation(value.name, kind, "the input")

    def store(self, tensor: onnx.TensorProto) -> None:
        """Take a constant in."""
        self.stored[tensor.name] = tensor
        self.kinds[tensor.name] = Kind(tensor.data_type, tuple(tensor.dims))

    def value(self, name: str) -> Array | None:
        """The value of a constant; None where it is none, or none that numpy computes in."""
        tensor = self.stored.get(name)
        if tensor is None or tensor.data_type not in FOLDABLE:
            return None
        return np.asarray(numpy_helper.to_array(tensor))

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor, None where it is not known."""
        kind = self.kinds.get(name)
        return None if kind is None else kind.shape

    def run(self, *, write: bool = True) -> Walk:
        """Walk along the whole graph and write what was found into the model.

        Parameters
        ----------
        write
            False to leave the model as it is, for the sake of what is known alone.

        Raises
        ------
        BackboneError
            If a node cannot take what it is given.
        """
        for node in self.model.graph.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            self._take(copy)
        if write:
            self._write()
        return self

    def _write(self) -> None:
        graph = self.model.graph
        needed = {name for node in self.nodes for name in reads(node)} | self.outputs
        del graph.node[:]
        graph.node.extend(self.nodes)
        kept = [tensor for name, tensor in self.stored.items() if name in needed]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        del graph.value_info[:]
        if self.shaped:
            made = [out for node in self.nodes for out in node.output if out]
            graph.value_info.extend(
                declared(name, self.kinds[name])
                for name in made
                if name in self.kinds and name not in self.outputs
            )

    def _take(self, node: onnx.NodeProto) -> None:
        if self.other_names:
            node.input[:] = [self.other_names.get(name, name) for name in node.input]
            for graph in graphs_in(node):
                for inner in graph.node:
                    inner.input[:] = [self.other_names.get(n, n) for n in inner.input]
                for value in graph.output:
                    value.name = self.other_names.get(value.name, value.name)
        if self.adapt is not None:
            self.adapt(self, node)
        if self._decide(node) or self._compute(node) or self._pass(node):
            return
        if len(self.nodes) >= MOST_NODES:
            raise BackboneError(f"more than {MOST_NODES} nodes")
        if self.shaped and node.op_type == "If" and node.domain in STANDARD:
            # One condition for a whole batch: what it decides depends on a picture's neighbours.
            raise BackboneError(self._reason(node))
        self.nodes.append(node)
        if self.shaped:
            self._tell(node)

    def _decide(self, node: onnx.NodeProto) -> bool:
        """Put the branch of a decided ``If`` in its place."""
        if node.op_type != "If" or node.domain not in STANDARD:
            return False
        condition = self.value(node.input[0]) if node.input else None
        if condition is None or condition.size != 1:
            return False
        self.branches += 1
        prefix = f"{node.name or node.output[0]}/branch{self.branches}/"
        branch = branch_taken(node, bool(condition.reshape(-1)[0]), prefix)
        for tensor in branch.initializer:
            self.store(tensor)
        for inner in branch.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(inner)
            self._take(copy)
        return True

    def _compute(self, node: onnx.NodeProto) -> bool:
        """Compute a node from constants, or from a known shape."""
        shape = self.shape(node.input[0]) if len(node.input) == 1 else None
        if node.op_type in ("Shape", "Size") and node.domain in STANDARD and shape is not None:
            self.store(tensor_of(node.output[0], shape_value(node, shape)))
            return True
        if any(True for _ in graphs_in(node)) or any(
            n and n not in self.stored for n in node.input
        ):
            return False
        inputs = [self.value(name) if name else None for name in node.input]
        if any(name and v is None for name, v in zip(node.input, inputs, strict=True)):
            return False
        try:
            made = evaluate(node, inputs, opset_of(self.model))
        except TooLargeError as error:
            raise BackboneError(f"node {label(node)}: {error}") from error
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            raise BackboneError(
                f"node {label(node)} cannot be computed from its constants: {one_line(error)}"
            ) from error
        # Of several outputs the first is computed alone where nobody reads the others.
        if made is None or any(name in self.read for name in node.output[len(made) :]):
            return False
        for name, value in zip(node.output, made, strict=False):
            if not name:
                continue
            self.computed += value.size
            if self.computed > self.most_computed:
                raise BackboneError(
                    f"node {label(node)}: what the graph computes from constants alone would take "
                    f"more than {self.most_computed >> 18} MiB"
                )
            self.store(tensor_of(name, value))
        return True

    def _pass(self, node: onnx.NodeProto) -> bool:
        """Leave out a ``Cast`` to what a tensor is already."""
        if node.op_type != "Cast" or node.output[0] in self.outputs or not self.shaped:
            return False
        kind = self.kinds.get(node.input[0])
        if kind is None or kind.element != attribute(node, "to"):
            return False
        self.other_names[node.output[0]] = node.input[0]
        return True

    def _tell(self, node: onnx.NodeProto) -> None:
        """Tell the kinds of a node's outputs, or note why they cannot be told."""
        names = reads(node)
        values = {
            name: value
            for name in names
            if name in self.stored
            and math.prod(self.stored[name].dims) <= LARGE
            and (value := self.value(name)) is not None
        }
        known = all(self.shape(name) is not None for name in names)
        try:
            found = infer(node, self.kinds, values, self.model.opset_import)
        except BackboneError:
            if known:
                raise
            return  # it cannot be told what it is given; where that began is noted
        untold = False
        for name, kind in zip(node.output, found, strict=True):
            if not name:
                continue
            if kind is None or kind.shape is None:
                untold = True
                continue
            self.kinds[name] = kind
            self._check_activation(name, kind, f"node {label(node)}")
        if untold and known:
            outputs = tuple(out for out in node.output if out)
            self.stops.append(Stop(outputs, self._reason(node)))

    def _reason(self, node: onnx.NodeProto) -> str:
        if node.domain not in STANDARD:
            return (
                f"node {label(node)} is no operator of the ONNX standard; save the network as its "
                "framework exports it, without optimisations of a runtime (in ONNX Runtime: at "
                "level ORT_ENABLE_BASIC)"
            )
        moving = [name for name in node.input[1:] if name and name not in self.stored]
        if node.op_type in ("If", "Loop", "Scan"):
            moving = list(node.input[:1])
        if moving:
            return (
                f"what node {label(node)} makes depends on {moving[0]!r}, which the picture itself "
                "decides; export the network traced, with a fixed input size and without control "
                "flow"
            )
        return (
            f"the shape of what node {label(node)} makes is not known to onnx {onnx.__version__}; "
            "export the network with opset 13 to 19 and standard operators"
        )

    def _check_activation(self, name: str, kind: Kind, whose: str) -> None:
        shape = kind.shape or ()
        if name in self.stored or not shape:
            return
        if any(d <= 0 for d in shape):
            raise BackboneError(f"{whose} makes nothing: {name!r} has shape {[*shape]}")
        if math.prod(shape) > LARGEST_ACTIVATION * max(1, self.batch):
            raise BackboneError(
                f"{whose} makes {name!r} of shape {[*shape]}, "
                f"{math.prod(shape) * 4 / (1 << 30):.1f} GiB; no network of images needs so much"
            )

    @property
    def batch(self) -> int:
        """The batch of the input."""
        dims = self.model.graph.input[0].type.tensor_type.shape.dim
        return int(dims[0].dim_value) if dims else 1


def fold_constants(model: onnx.ModelProto) -> None:
    """Turn what is computed from constants alone into initializers."""
    Walk(model, shaped=False).run()
