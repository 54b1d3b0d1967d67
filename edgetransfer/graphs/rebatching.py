"""A batch that is built into a graph, opened.

Exporters write the batch of the example picture into shapes: a Reshape to (1, 17, 4, 8), a class
token expanded to (1, 1, 32). Two walks along the graph tell where the batch stands in every
tensor: one with the batch that is built in, whose shapes are known throughout, and one with the
wanted batch, which has got as far as the node at hand. The axis whose length differs between
them carries the batch, and a shape that a node has built in is multiplied there. Within an axis
that it shares (heads of all pictures, tokens of all pictures) the batch stands outermost, or
innermost where it was merged with the axis before it. Whether pictures stay apart is proved
afterwards, by running them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import Array, label
from edgetransfer.graphs.propagation import Walk
from edgetransfer.graphs.shapes import tensor_of

Shape = tuple[int, ...]


class Rebatch:
    """Adapts the nodes of a walk to another batch than the one that is built in.

    Parameters
    ----------
    before
        A whole walk with the batch that is built in.
    old, new
        The two batches.
    """

    def __init__(self, before: Walk, *, old: int, new: int) -> None:
        self.before, self.old, self.new = before, old, new
        self.opened: list[str] = []
        self._innermost: set[str] = set()  # tensors whose batch is innermost in its axis
        self._rules: dict[str, Callable[[Walk, onnx.NodeProto], None]] = {
            "Reshape": self._reshape,
            "Expand": self._expand,
            "Concat": self._concat,
            "Resize": self._resize,
        }

    def __call__(self, walk: Walk, node: onnx.NodeProto) -> None:
        """Change a node that the walk comes to next."""
        if node.op_type != "Reshape" and any(name in self._innermost for name in node.input):
            self._innermost.update(node.output)
        rule = self._rules.get(node.op_type)
        if rule is not None:
            rule(walk, node)

    def _shapes(self, walk: Walk, name: str) -> tuple[Shape, Shape] | None:
        """A tensor's shape with the old batch and with the new, where both are known."""
        then, now = self.before.shape(name), walk.shape(name)
        return None if then is None or now is None else (then, now)

    def _axis(self, then: Shape, now: Shape) -> int | None:
        """The axis that carries the batch; None if none does, or the two shapes do not compare."""
        if len(then) != len(now):
            return None
        differing = [axis for axis, (a, b) in enumerate(zip(then, now, strict=True)) if a != b]
        if len(differing) != 1:
            return None
        axis = differing[0]
        return axis if now[axis] * self.old == then[axis] * self.new else None

    def _replace(self, walk: Walk, node: onnx.NodeProto, at: int, shape: list[int]) -> None:
        name = f"{node.output[0]}/batch{self.new}"
        walk.store(tensor_of(name, np.asarray(shape, np.int64)))
        node.input[at] = name

    def _scaled(self, length: int, node: onnx.NodeProto) -> int:
        if length * self.new % self.old:
            raise BackboneError(f"node {label(node)} has a batch of {self.old} built in")
        return length * self.new // self.old

    def _reshape(self, walk: Walk, node: onnx.NodeProto) -> None:
        known = self._shapes(walk, node.input[0])
        result = self.before.shape(node.output[0])
        if known is None or result is None or node.input[0] in walk.stored:
            return
        then, now = known
        axis = self._axis(then, now)
        if axis is None:
            return
        outside = math.prod(then[:axis])
        if node.input[0] in self._innermost:
            outside *= then[axis]
        places = [k for k in range(len(result)) if math.prod(result[:k]) == outside]
        if not places:
            raise BackboneError(
                f"node {label(node)} has a batch of {self.old} built in: it reshapes {[*then]} to "
                f"{[*result]}, where pictures cannot be told apart; export it with an open batch"
            )
        own = [k for k in places if result[k] == self.old]
        place = own[0] if own else places[-1]
        if not own and 0 < place == len(result) - 1:
            # What layers sum over is the last axis: pictures are rows, never parts of a row.
            place -= 1
            self._innermost.add(node.output[0])
        wanted = list(result)
        wanted[place] = self._scaled(result[place], node)
        target = walk.value(node.input[1])
        if target is not None and self._asks_for(target, now, wanted, node):
            return
        if outside > 1 or place > 0:
            self.opened.append(label(node))
        self._replace(walk, node, 1, wanted)

    def _asks_for(self, target: Array, now: Shape, wanted: list[int], node: onnx.NodeProto) -> bool:
        """Whether a target makes the wanted shape as it is, by its 0 and -1."""
        dims = [int(d) for d in target.reshape(-1)]
        dims = [now[i] if d == 0 and i < len(now) else d for i, d in enumerate(dims)]
        rest = math.prod(d for d in dims if d != -1)
        if dims.count(-1) == 1 and rest and math.prod(now) % rest == 0:
            dims[dims.index(-1)] = math.prod(now) // rest
        return dims == wanted

    def _expand(self, walk: Walk, node: onnx.NodeProto) -> None:
        """Where the input carries the batch, keep its length; broadcasting does the rest."""
        known = self._shapes(walk, node.input[0])
        target = walk.value(node.input[1])
        if known is None or target is None:
            return
        axis = self._axis(*known)
        if axis is None:
            return
        dims = [int(d) for d in target.reshape(-1)]
        at = axis + len(dims) - len(known[0])
        if at >= 0 and dims[at] == known[0][axis]:
            dims[at] = 1
            self.opened.append(label(node))
            self._replace(walk, node, 1, dims)

    def _concat(self, walk: Walk, node: onnx.NodeProto) -> None:
        """Repeat what is the same for every picture (a class token) beside what is not."""
        along = next((item.i for item in node.attribute if item.name == "axis"), 0)
        shapes = {name: self._shapes(walk, name) for name in node.input}
        axes = {self._axis(*known) for known in shapes.values() if known is not None}
        axes.discard(None)
        if len(axes) != 1:
            return
        axis = axes.pop()
        for position, name in enumerate(node.input):
            known = shapes[name]
            if axis is None or known is None or known[0] != known[1] or len(known[0]) <= axis:
                continue
            value = walk.value(name)
            if value is None or along % len(known[0]) == axis or known[0][axis] != self.old:
                continue
            if self.old != 1 and not (value == np.take(value, [0], axis)).all():
                continue
            repeated = np.repeat(np.take(value, [0], axis), self.new, axis)
            copy = f"{name}/batch{self.new}"
            walk.store(tensor_of(copy, repeated))
            node.input[position] = copy
            self.opened.append(label(node))

    def _resize(self, walk: Walk, node: onnx.NodeProto) -> None:
        if len(node.input) < 4 or not node.input[3]:
            return
        known, sizes = self._shapes(walk, node.input[0]), walk.value(node.input[3])
        if known is None or sizes is None or self._axis(*known) != 0:
            return
        if sizes.size == len(known[1]) and int(sizes[0]) == self.old:
            wanted = [int(s) for s in sizes]
            wanted[0] = self.new
            self._replace(walk, node, 3, wanted)
