"""ONNX Runtime behind the `Engine` protocol: runs everywhere, gains nothing from sparsity."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from edgetransfer.engines.protocol import EngineChoice, failing_as, padded
from edgetransfer.errors import EngineError
from edgetransfer.types import Float32Array

# It moves a Pad's zeros into the padding of a MaxPool, which is minus infinity, and gives an
# AveragePool that rounds up another shape.
UNSOUND = ["Pad_Fusion"]


def inference_session(model: onnx.ModelProto, *, threads: int | None) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU, without the optimisations that change results.

    Raises
    ------
    EngineError
        If ONNX Runtime cannot load the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Waiting threads that spin would take the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=UNSOUND,
        )
    except Exception as error:
        first_line = str(error).strip().splitlines()[0][:300]
        raise EngineError(f"ONNX Runtime cannot load this backbone: {first_line}") from error


class OnnxRuntimeEngine:
    """A frozen backbone in ONNX Runtime's CPU provider.

    Parameters
    ----------
    model
        A frozen backbone, as `Backbone.frozen` makes it.
    threads
        How many threads one call uses; one per physical core if None.
    reason
        Why this engine was chosen.

    Raises
    ------
    EngineError
        If ONNX Runtime cannot load the graph.
    """

    name = "onnxruntime"

    def __init__(self, model: onnx.ModelProto, *, threads: int | None, reason: str) -> None:
        import onnxruntime

        self._session = inference_session(model, threads=threads)
        self.choice = EngineChoice(name=self.name, version=onnxruntime.__version__, reason=reason)
        batch, channels, height, width = self._session.get_inputs()[0].shape
        self.batch_size = int(batch)
        self.input_shape = (int(batch), int(channels), int(height), int(width))
        self.dimension = int(self._session.get_outputs()[0].shape[1])

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        batch = padded(images, self.batch_size)
        with failing_as("ONNX Runtime"):
            features = self._session.run(["features"], {"images": batch})[0]
        return np.asarray(features[: len(images)], np.float32)

    def close(self) -> None:
        """See `Engine.close`."""
        del self._session
