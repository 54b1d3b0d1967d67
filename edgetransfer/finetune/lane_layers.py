"""Layers of a graph that can be trained in lanes, where zero weights are no work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import torch
from torch import Tensor

from edgetransfer.finetune.laned import Laned, convolved
from edgetransfer.finetune.windows import Window as OnnxWindow
from edgetransfer.graphs.graph import Array, Graph, attribute
from edgetransfer.masked import MaskedConvolution, TrainingThreads, Window


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
    """

    name: str
    output: str
    mask: Array
    window: OnnxWindow
    groups: int
    transposed: bool
    threads: TrainingThreads
    _made: dict[tuple[int, ...], MaskedConvolution] = field(default_factory=dict, repr=False)

    @property
    def sparsity(self) -> float:
        """The share of weights that are zero, between channels that do not mix too."""
        return 1 - np.count_nonzero(self.mask) / (self.mask.size * self.groups)

    @property
    def masked(self) -> float:
        """The share of its own weights that are masked."""
        return 1 - np.count_nonzero(self.mask) / self.mask.size

    def __call__(self, x: Laned, weights: Tensor, bias: Tensor | None = None) -> Laned:
        """The layer on a map in lanes."""
        if weights.ndim == 2:
            weights = (weights.t() if self.transposed else weights)[:, :, None, None]
        size = (x.map.shape[1], x.map.shape[2])
        return convolved(x, weights, bias, self._layer(size))

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
        own[0], node.output[0], np.ascontiguousarray(placed), window, groups, transposed, threads
    )


def weights_as_trained(layer: LaneLayer, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random weights under a layer's mask, as (O, C, kh, kw) that lie channels last."""
    drawn = np.random.default_rng(0).standard_normal(layer.mask.shape).astype(np.float32)
    return torch.from_numpy(drawn * layer.mask).permute(0, 3, 1, 2).to(dtype)
