"""Layers of a graph that can be trained in lanes, where zero weights are no work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from torch import Tensor

from edgetransfer.finetune.laned import Laned, convolved
from edgetransfer.finetune.windows import Window as OnnxWindow
from edgetransfer.graphs.graph import Array, Graph, attribute, opset_of
from edgetransfer.masked import MaskedConvolution, TrainingThreads, Window
from edgetransfer.masked.convolution import Limits


@dataclass
class LaneLayer:
    """A convolution or fully connected layer at a fixed mask.

    Parameters
    ----------
    name
        Of its weights in the graph.
    output
        The tensor that it makes.
    mask
        (O, kh, kw, C / groups), True where a weight is kept.
    window
        ONNX's; the zeros around a map may depend on its size.
    groups
        Of channels.
    transposed
        Whether the weights are (C, O), as some fully connected layers have them.
    limits
        Those of a ReLU or Clip that alone reads its output, which are its own then.
    """

    name: str
    output: str
    mask: Array
    window: OnnxWindow
    groups: int
    transposed: bool
    threads: TrainingThreads
    limits: Limits | None = None
    _made: dict[tuple[int, ...], MaskedConvolution] = field(default_factory=dict, repr=False)

    @property
    def masked(self) -> float:
        """The share of its own weights that are masked."""
        return 1 - np.count_nonzero(self.mask) / self.mask.size

    def __call__(self, x: Laned, weights: Tensor, bias: Tensor | None = None) -> Laned:
        """The layer on a map in lanes."""
        if weights.ndim == 2:
            weights = (weights.t() if self.transposed else weights)[:, :, None, None]
        size = (x.map.shape[1], x.map.shape[2])
        return convolved(x, weights, bias, self._layer(size), self.limits)

    def _layer(self, size: tuple[int, int]) -> MaskedConvolution:
        pads = tuple(self.window.pads_for(size))
        if pads not in self._made:
            window = Window(
                kernel=_pair(self.window.kernel),
                strides=_pair(self.window.strides),
                dilations=_pair(self.window.dilations),
                begins=_pair(pads[:2]),
                ends=_pair(pads[2:]),
            )
            self._made[pads] = MaskedConvolution(
                self.mask, window, groups=self.groups, threads=self.threads
            )
        return self._made[pads]


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    first, second = values
    return int(first), int(second)


class _Attributes:
    """A node's attributes, as `OnnxWindow` reads them."""

    def __init__(self, node: onnx.NodeProto) -> None:
        self.get = lambda name, default=None: attribute(node, name, default)


def lane_layer(
    node: onnx.NodeProto, graph: Graph, masks: Mapping[str, Array], threads: TrainingThreads
) -> LaneLayer | None:
    """The layer of a node, or None where it is none that can be trained in lanes.

    Those are convolutions over two axes and fully connected layers whose weights and bias are the
    graph's own. Weights without a mask are all kept.
    """
    own = [name for name in node.input[1:] if name]
    if node.op_type not in ("Conv", "Gemm") or not own:
        return None
    if not all(name in graph.initializers for name in own) or node.input[0] in graph.initializers:
        return None
    weights = graph.initializers[own[0]]
    shape = tuple(weights.dims)
    mask = masks.get(own[0], np.ones(shape, np.bool_))
    if node.op_type == "Conv":
        if len(shape) != 4:
            return None
        window, groups = OnnxWindow(_Attributes(node), shape[2:]), attribute(node, "group", 1)
        placed = mask.transpose(0, 2, 3, 1)
        transposed = False
    else:
        scaled = attribute(node, "alpha", 1.0) != 1 or attribute(node, "beta", 1.0) != 1
        flat = all(len(graph.initializers[name].dims) == 1 for name in own[1:])
        if scaled or not flat or len(shape) != 2 or attribute(node, "transA", 0):
            return None
        transposed = not attribute(node, "transB", 0)
        window, groups = OnnxWindow(_Attributes(node), (1, 1)), 1
        placed = (mask.T if transposed else mask)[:, None, None, :]
    return LaneLayer(
        name=own[0],
        output=node.output[0],
        mask=np.ascontiguousarray(placed),
        window=window,
        groups=groups,
        transposed=transposed,
        threads=threads,
        limits=_limits_behind(node, graph),
    )


def _limits_behind(node: onnx.NodeProto, graph: Graph) -> Limits | None:
    """Of the ReLU, or the Clip between two numbers, that alone reads a node's output."""
    readers = graph.consumers.get(node.output[0], [])
    if len(readers) != 1 or node.output[0] in {value.name for value in graph.model.graph.output}:
        return None
    (reader,) = readers
    if reader.op_type == "Relu":
        return 0.0, float("inf")
    if reader.op_type != "Clip" or reader.input[0] != node.output[0]:
        return None
    if opset_of(graph.model) < 11:
        given = [attribute(reader, name) for name in ("min", "max")]
    else:
        names = [*reader.input[1:3], "", ""][:2]
        constants = [graph.array(name) if name else None for name in names]
        given = [None if value is None else float(value.reshape(())) for value in constants]
    low, high = given
    # With one limit alone torch lets a gradient through on it, which cannot be told afterwards.
    if low is None or high is None or not np.isfinite([low, high]).all():
        return None
    return float(low), float(high)
