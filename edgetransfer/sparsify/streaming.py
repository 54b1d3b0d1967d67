"""The tensors inside the dense and the pruned network, streamed photo by photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetransfer.engines.onnxruntime_engine import inference_session
from edgetransfer.engines.protocol import failing_as
from edgetransfer.graphs.graph import Graph, dims_of, reads, subgraph
from edgetransfer.sparsify.photos import CalibrationViews
from edgetransfer.types import Float32Array

Tensors = dict[str, Float32Array]


@dataclass(frozen=True)
class Chunk:
    """Some views' tensors.

    Parameters
    ----------
    first
        The number of the first view.
    dense, pruned
        Tensors of the two networks by name, (n, …) float32.
    """

    first: int
    dense: Tensors
    pruned: Tensors


def shapes_of(frozen: onnx.ModelProto) -> dict[str, list[int]]:
    """The shapes of a frozen backbone's tensors."""
    graph = frozen.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {value.name: [d or 1 for d in dims_of(value)] for value in values}


def batch_axes(frozen: onnx.ModelProto, other: onnx.ModelProto) -> dict[str, int]:
    """Where the pictures of a batch stand in each tensor, by two batch sizes of one backbone.

    Transformers keep tokens first and pictures second in places. Tensors in which pictures share
    an axis with something else are left out.
    """
    shapes, others = shapes_of(frozen), shapes_of(other)
    batch, wider = (model.graph.input[0].type.tensor_type.shape for model in (frozen, other))
    pair = batch.dim[0].dim_value, wider.dim[0].dim_value
    axes: dict[str, int] = {}
    for name in shapes.keys() & others.keys():
        found = list(zip(shapes[name], others[name], strict=False))
        differing = [axis for axis, (a, b) in enumerate(found) if a != b]
        if len(differing) == 1 and found[differing[0]] == pair:
            axes[name] = differing[0]
    return axes


class NetworkPair:
    """Runs the dense network and the pruned one side by side over the calibration views.

    Both are the same graph with other weights. Tensors at one place of the graph are kept where
    they fit into a budget of memory, so that what stands before it need not run again; else the
    networks run from the photos on.

    Parameters
    ----------
    dense, pruned
        Frozen backbones of one batch size; ``pruned`` may be changed from layer to layer.
    views
        What they are fed.
    budget
        Bytes for kept tensors.
    threads
        Of the engine; all cores if None.
    axes
        Where pictures stand in each tensor, as `batch_axes` tells; first in all if None. What is
        streamed has them first.
    """

    def __init__(
        self,
        dense: onnx.ModelProto,
        pruned: onnx.ModelProto,
        views: CalibrationViews,
        *,
        budget: int,
        threads: int | None,
        axes: dict[str, int] | None = None,
    ) -> None:
        self.dense = dense
        self.pruned = pruned
        self.views = views
        self._budget = budget
        self._threads = threads
        self._batch = dims_of(dense.graph.input[0])[0] or 1
        self._shapes = shapes_of(dense)
        self._axes = dict.fromkeys(self._shapes, 0) if axes is None else axes
        self._kept: tuple[list[Tensors], list[Tensors]] | None = None
        self._at: tuple[str, ...] = (dense.graph.input[0].name,)

    def shape_of(self, tensor: str) -> list[int]:
        """The shape of a tensor of one batch, as it is streamed."""
        shape = list(self._shapes[tensor])
        return [shape.pop(self._axes[tensor]), *shape]

    def advance(self, node: int) -> bool:
        """Keep the tensors that the nodes from ``node`` on read, if they fit into the budget."""
        live = self._live(node)
        if not all(name in self._axes for name in live):
            return False
        numbers = sum(int(np.prod(self._shapes[name])) for name in live) // self._batch
        if 2 * 4 * numbers * len(self.views) > self._budget:
            return False
        kept: tuple[list[Tensors], list[Tensors]] = ([], [])
        for chunk in self.stream(live, live):
            kept[0].append(chunk.dense)
            kept[1].append(chunk.pruned)
            self._release(chunk.first // self._batch)
        self._kept, self._at = kept, live
        return True

    def stream(self, dense: Sequence[str], pruned: Sequence[str]) -> Iterator[Chunk]:
        """Yield tensors of the two networks, chunk by chunk."""
        run_dense = _Part(self.dense, self._at, dense, self._shapes, self._axes, self._threads)
        run_pruned = _Part(self.pruned, self._at, pruned, self._shapes, self._axes, self._threads)
        for number, first in enumerate(range(0, len(self.views), self._batch)):
            count = min(self._batch, len(self.views) - first)
            if self._kept is None:
                images = {self._at[0]: self.views.normalised(first, count)}
                given = images, images
            else:
                given = self._kept[0][number], self._kept[1][number]
            yield Chunk(first, run_dense(given[0], count), run_pruned(given[1], count))

    def _release(self, number: int) -> None:
        """Let go of kept tensors that have been passed on."""
        if self._kept is not None:
            self._kept[0][number] = self._kept[1][number] = {}

    def _live(self, node: int) -> tuple[str, ...]:
        graph = Graph(self.dense)
        nodes = self.dense.graph.node
        made = {self.dense.graph.input[0].name}
        made.update(out for n in list(nodes)[:node] for out in n.output)
        read = {name for n in list(nodes)[node:] for name in n.input}
        read.update(value.name for value in self.dense.graph.output)
        return tuple(sorted((made & read) - graph.constants))


class _Part:
    """A part of a network, from some tensors to others."""

    def __init__(
        self,
        model: onnx.ModelProto,
        inputs: Sequence[str],
        outputs: Sequence[str],
        shapes: dict[str, list[int]],
        axes: dict[str, int],
        threads: int | None,
    ) -> None:
        self._axes = axes
        self._passed = [name for name in outputs if name in inputs]
        self._outputs = [name for name in dict.fromkeys(outputs) if name not in inputs]
        self._batch = shapes[inputs[0]][axes[inputs[0]]]
        self._session: Any = None
        if not self._outputs:
            return
        part = subgraph(
            model,
            [_value(name, shapes) for name in inputs],
            [_value(name, shapes) for name in self._outputs],
        )
        used = {name for node in part.graph.node for name in reads(node)}
        for value in [v for v in part.graph.input if v.name not in used]:
            part.graph.input.remove(value)
        self._inputs = [value.name for value in part.graph.input]
        self._session = inference_session(part, threads=threads)

    def __call__(self, given: Tensors, count: int) -> Tensors:
        found = {name: given[name][:count] for name in self._passed}
        if self._session is not None:
            feeds = {
                name: np.ascontiguousarray(
                    np.moveaxis(_filled(given[name], self._batch), 0, self._axes[name])
                )
                for name in self._inputs
            }
            with failing_as("ONNX Runtime"):
                made = self._session.run(self._outputs, feeds)
            for name, array in zip(self._outputs, made, strict=True):
                found[name] = np.moveaxis(array, self._axes[name], 0)[:count]
        return found


def _value(name: str, shapes: dict[str, list[int]]) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name])


def _filled(array: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    """A batch of exactly that many rows."""
    if len(array) == batch:
        return np.ascontiguousarray(array)
    return np.concatenate([array, np.zeros((batch - len(array), *array.shape[1:]), np.float32)])
