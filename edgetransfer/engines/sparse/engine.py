"""The sparse engine behind the `Engine` protocol."""

from __future__ import annotations

import os

import numpy as np
import onnx
import psutil

from edgetransfer.engines.protocol import EngineChoice, padded
from edgetransfer.engines.sparse.library import Session, instruction_set
from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.errors import EngineError
from edgetransfer.types import Float32Array
from edgetransfer.version import __version__


class SparseEngine:
    """A frozen backbone in the project's own engine.

    Parameters
    ----------
    model
        A frozen backbone, as `Backbone.frozen` makes it.
    threads
        Of the engine's own pool; one per physical core if None. Results do not depend on it.
    reason
        Why this engine was chosen.

    Raises
    ------
    EngineError
        If the native library is not there, or the graph has an operator that it does not cover.
    """

    name = "sparse"

    def __init__(self, model: onnx.ModelProto, *, threads: int | None, reason: str) -> None:
        isa = instruction_set()
        try:
            self.plan = lower(model)
        except EngineError as error:
            raise EngineError(f"The sparse engine cannot run this backbone: {error}") from error
        words, numbers = self.plan.serialise()
        self.session = Session(
            words,
            numbers,
            operators=len(self.plan.operators),
            threads=threads or _own_cores(),
        )
        self.plan.release_weights()
        release = f"{__version__} ({isa})"
        self.choice = EngineChoice(name=self.name, version=release, reason=reason)
        batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        channels, height, width = self.plan.shapes[self.plan.input]
        self.batch_size = int(batch)
        self.input_shape = (self.batch_size, channels, height, width)
        self.dimension = int(np.prod(self.plan.shapes[self.plan.output]))

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        if len(images) > self.batch_size:
            padded(images, self.batch_size)
        given = np.ascontiguousarray(images, np.float32)
        if given.shape[1:] != self.input_shape[1:]:
            raise ValueError(f"images of shape {given.shape[1:]} are not {self.input_shape[1:]}")
        features = np.empty((len(given), self.dimension), np.float32)
        self.session.run(given, features)
        return features

    def close(self) -> None:
        """See `Engine.close`."""
        self.session.close()


def _own_cores() -> int:
    """Physical cores, or as many as this process may run on if these are fewer."""
    cores = psutil.cpu_count(logical=False) or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    return cores
