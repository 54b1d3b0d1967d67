"""How long each layer takes in DeepSparse, by its own instrumented run."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.atomic import temporary_folder
from edgetransfer.engines.deepsparse_engine import native_diagnostics, silence_telemetry
from edgetransfer.engines.protocol import Engine, LayerTime
from edgetransfer.errors import EngineError

ITERATIONS, WARM_UP = 5, 2


def layer_times(
    model: onnx.ModelProto, engine: Engine, *, threads: int | None
) -> tuple[LayerTime, ...]:
    """Time the steps of a frozen backbone that runs in DeepSparse, in the order of the run.

    The instrumented run is slower than a usual one: the shares count, not the seconds.

    Raises
    ------
    EngineError
        If the instrumented run fails.
    """
    silence_telemetry()
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    with temporary_folder() as folder:
        path = folder / "layers.onnx"
        onnx.save(model, str(path))
        with native_diagnostics():
            try:
                from deepsparse.engine import model_debug_analysis

                found = model_debug_analysis(
                    str(path),
                    [images],
                    batch_size=engine.batch_size,
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
