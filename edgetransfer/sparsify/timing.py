"""What the engine gains: times of single layers at several sparsities, and of whole backbones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgetransfer.engines import KINDS, Engine, EngineKind, batch_seconds, open_engine
from edgetransfer.errors import EngineError
from edgetransfer.sparsify.distribution import GRID
from edgetransfer.sparsify.layers import Float64Array, Layer
from edgetransfer.types import Float32Array, Progress

LAYER_SECONDS = 0.15
TURNS = 4
TURN_SECONDS = 0.3


class Stopwatch:
    """Measures with one engine, on this machine.

    Parameters
    ----------
    model
        The frozen dense backbone: the engine that runs it is the one that is measured.
    engine, threads, cache
        As in `open_engine`.
    """

    def __init__(
        self, model: onnx.ModelProto, *, engine: str, threads: int | None, cache: Path | None
    ) -> None:
        self._dense = open_engine(model, engine=engine, threads=threads, cache=cache)
        self._threads = threads
        self.choice = self._dense.choice
        self._kind = _kind_named(self._dense.name)

    def close(self) -> None:
        """Let go of the dense engine."""
        self._dense.close()

    def compare(self, model: onnx.ModelProto) -> tuple[float, float]:
        """Images a second of the dense backbone and of another, measured in turns.

        Raises
        ------
        EngineError
            If the engine cannot run the other one.
        """
        other = self._open(model)
        times: dict[str, list[float]] = {"dense": [], "other": []}
        for _ in range(TURNS):
            times["dense"] += batch_seconds(self._dense, TURN_SECONDS)
            times["other"] += batch_seconds(other, TURN_SECONDS)
        other.close()
        batch = self._dense.batch_size
        return batch / float(np.median(times["dense"])), batch / float(np.median(times["other"]))

    def layer_times(
        self, layers: Sequence[Layer], shapes: dict[str, list[int]], progress: Progress
    ) -> Float64Array:
        """Seconds that each layer alone takes for a batch at each sparsity of `GRID`.

        Parameters
        ----------
        shapes
            Of the layers' input tensors, one batch each.

        Returns
        -------
        (L, len(GRID)) float64; a sparser layer is never counted as slower.
        """
        known: dict[object, Float64Array] = {}
        result = []
        for number, layer in enumerate(layers):
            progress("timing layers", number, len(layers))
            shape = tuple(shapes[layer.input])
            key = (layer.operator, layer.shape, layer.strides, layer.pads, layer.groups, shape)
            if key not in known:
                known[key] = np.array(
                    [self._time(layer, shape, random_weights(layer, share)) for share in GRID]
                )
            result.append(np.minimum.accumulate(np.nan_to_num(known[key], nan=0.0)))
        progress("timing layers", len(layers), len(layers))
        return np.stack(result)

    def before_and_after(
        self,
        layers: Sequence[Layer],
        shapes: dict[str, list[int]],
        weights: Sequence[tuple[Float32Array, Float32Array]],
        progress: Progress,
    ) -> list[tuple[float, float]]:
        """Seconds that each layer alone takes for a batch with its dense and its sparse weights.

        Parameters
        ----------
        weights
            Of each layer, as stored: dense and sparse.
        """
        result = []
        for number, (layer, pair) in enumerate(zip(layers, weights, strict=True)):
            progress("timing layers", number, len(layers))
            shape = tuple(shapes[layer.input])
            dense, sparse = (self._time(layer, shape, array) for array in pair)
            result.append((dense, sparse))
        progress("timing layers", len(layers), len(layers))
        return result

    def _time(self, layer: Layer, shape: tuple[int, ...], weights: Float32Array) -> float:
        try:
            engine = self._open(_alone(layer, shape, weights))
        except EngineError:
            return float("nan")
        times = batch_seconds(engine, LAYER_SECONDS)
        engine.close()
        return float(np.min(times))

    def _open(self, model: onnx.ModelProto) -> Engine:
        return self._kind.open(model, threads=self._threads, reason="measured")


def _kind_named(name: str) -> EngineKind:
    return next(kind for kind in KINDS if kind.name == name)


def random_weights(layer: Layer, sparsity: float) -> Float32Array:
    """Weights as stored, so many of them zero."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(layer.shape, np.float32)
    weights *= rng.random(layer.shape, np.float32) >= sparsity
    return weights


def _alone(layer: Layer, shape: tuple[int, ...], weights: Float32Array) -> onnx.ModelProto:
    """A graph of one layer with a small output.

    A fully connected layer stands as the 1x1 convolution of one position that it is.
    """
    if layer.operator != "Conv":
        shape = (int(np.prod(shape[:-1])), shape[-1], 1, 1)
    stored = (layer.rows, layer.columns, 1, 1) if layer.operator != "Conv" else layer.shape
    rows_first = weights.T if layer.transposed else weights
    filters = np.ascontiguousarray(rows_first).reshape(stored)
    tensors = [numpy_helper.from_array(filters, "weights")]
    nodes = [
        helper.make_node(
            "Conv",
            ["images", "weights"],
            ["made"],
            group=layer.groups,
            strides=layer.strides,
            pads=layer.pads,
            dilations=layer.dilations,
            kernel_shape=layer.kernel,
        ),
        helper.make_node("Relu", ["made"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [shape[0], stored[0]])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model
