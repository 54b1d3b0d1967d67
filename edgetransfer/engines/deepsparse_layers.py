"""How long each layer takes in DeepSparse, by its own instrumented run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgetransfer.engines.deepsparse_engine import native_diagnostics, silence_telemetry
from edgetransfer.errors import EngineError

ITERATIONS, WARM_UP = 5, 2


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """One step of the compiled network.

    Parameters
    ----------
    tensors
        What the layers make that it does; the engine runs several as one.
    share
        Of the whole run's time, 0 to 1.
    """

    tensors: tuple[str, ...]
    share: float


def layer_times(model: onnx.ModelProto, *, threads: int | None) -> tuple[LayerTime, ...]:
    """Time the steps of a frozen backbone that runs in DeepSparse, in the order of the run.

    The instrumented run is slower than a usual one: the shares count, not the seconds.

    Raises
    ------
    EngineError
        If the instrumented run fails.
    """
    silence_telemetry()
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    with tempfile.TemporaryDirectory(prefix="edgetransfer-") as folder:
        path = Path(folder) / "layers.onnx"
        onnx.save(model, str(path))
        with native_diagnostics():
            try:
                from deepsparse.engine import model_debug_analysis

                found = model_debug_analysis(
                    str(path),
                    [images],
                    batch_size=shape[0],
                    num_cores=threads,
                    num_iterations=ITERATIONS,
                    num_warmup_iterations=WARM_UP,
                )
                steps = [
                    (step["canonical_name"], float(step["average_run_time_in_ms"]))
                    for step in found["layer_info"]
                ]
            except Exception as error:
                raise EngineError(f"DeepSparse cannot time its layers: {error}") from error
    total = sum(time for _, time in steps) or 1.0
    return tuple(
        LayerTime(tensors=() if name == "<none>" else tuple(name.split(",")), share=time / total)
        for name, time in steps
    )
