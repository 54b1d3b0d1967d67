"""OpenVINO behind the `Engine` protocol: fast on dense backbones, gains nothing from sparsity.

It computes in float32 unless bfloat16 is asked for by name; left alone it would take bfloat16 by
itself wherever the processor has it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import onnx

from edgetransfer.engines.protocol import EngineChoice, failing_as, padded
from edgetransfer.errors import EngineError
from edgetransfer.types import Float32Array

Precision = Literal["f32", "bf16"]
TELEMETRY = "openvino_telemetry"


def why_absent() -> str | None:
    """Why OpenVINO cannot be imported here, or None if it is installed; imports nothing."""
    if importlib.util.find_spec("openvino") is not None:
        return None
    return "OpenVINO is not installed (pip install 'edgetransfer[openvino]')"


def why_bf16_absent() -> str | None:
    """Why OpenVINO cannot run in bfloat16 here, or None; imports OpenVINO where it is installed."""
    absent = why_absent()
    if absent is not None:
        return absent
    if "BF16" in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    return "this processor has no bfloat16 instructions"


class OpenVinoEngine:
    """A frozen backbone in OpenVINO's CPU plugin.

    Parameters
    ----------
    model
        A frozen backbone, as `Backbone.frozen` makes it.
    threads
        How many cores one call uses; all of this process's if None.
    reason
        Why this engine was chosen.
    precision
        What it multiplies in; ``bf16`` has 8 significant bits, and ends in a name of its own.

    Raises
    ------
    EngineError
        If OpenVINO is not installed, cannot load the graph, or lacks the precision here.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        *,
        threads: int | None,
        reason: str,
        precision: Precision = "f32",
    ) -> None:
        absent = why_absent() if precision == "f32" else why_bf16_absent()
        if absent is not None:
            raise EngineError(absent)
        openvino = _openvino()
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads or 0,
            "NUM_STREAMS": 1,
            # Pinned threads would take the cores that decoding is given.
            "ENABLE_CPU_PINNING": False,
        }
        core = openvino.Core()
        try:
            network = core.read_model(model.SerializeToString())
            self._compiled = core.compile_model(network, "CPU", settings)
            self._request = self._compiled.create_infer_request()
        except Exception as error:
            detail = str(error).strip().splitlines()[-1][:300]
            raise EngineError(f"OpenVINO cannot load this backbone: {detail}") from error
        self.name = "openvino" if precision == "f32" else "openvino-bf16"
        release = str(openvino.__version__).split("-")[0]
        self.choice = EngineChoice(name=self.name, version=release, reason=reason)
        batch, channels, height, width = self._compiled.input(0).shape
        self.batch_size = int(batch)
        self.input_shape = (int(batch), int(channels), int(height), int(width))
        self.dimension = int(self._compiled.output(0).shape[1])

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        batch = padded(images, self.batch_size)
        with failing_as("OpenVINO"):
            outputs = self._request.infer([batch], share_inputs=True, share_outputs=True)
        # The array lies in the request's own memory.
        return np.array(outputs[0][: len(images)], np.float32)

    def close(self) -> None:
        """See `Engine.close`."""
        del self._request, self._compiled


def open_bf16(model: onnx.ModelProto, *, threads: int | None, reason: str) -> OpenVinoEngine:
    """Open a frozen backbone in bfloat16; see `OpenVinoEngine`."""
    return OpenVinoEngine(model, threads=threads, reason=reason, precision="bf16")


def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which would call home at once."""
    with _absent(TELEMETRY):
        import openvino

    return openvino


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """Have a package look as if it were not installed; OpenVINO then takes a silent stand-in."""
    before = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is None:
            del sys.modules[package]
        else:
            sys.modules[package] = before
