"""DeepSparse behind the `Engine` protocol: the engine that gains from unstructured sparsity.

Its last release is 1.8.0, for CPython up to 3.11 on Linux x86-64, and its licence allows
development, test and evaluation only.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import onnx

from edgetransfer.atomic import temporary_folder
from edgetransfer.engines.protocol import EngineChoice, failing_as, padded
from edgetransfer.errors import EngineError
from edgetransfer.types import Float32Array


def silence_telemetry() -> None:
    """Switch off DeepSparse's calls home; must run before its first import."""
    os.environ["NM_DISABLE_ANALYTICS"] = "1"
    os.environ["NM_VERSION_CHECK"] = "false"


def why_absent() -> str | None:
    """Why DeepSparse cannot be imported here, or None if it is installed; imports nothing."""
    if importlib.util.find_spec("deepsparse") is not None:
        return None
    python = f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"
    here = f"{python} on {platform.system()} {platform.machine()}"
    if sys.version_info >= (3, 12) or sys.platform != "linux" or platform.machine() != "x86_64":
        return f"DeepSparse exists only for CPython up to 3.11 on Linux x86_64; this is {here}"
    return "DeepSparse is not installed (pip install deepsparse==1.8.0)"


class DeepSparseEngine:
    """A frozen backbone in DeepSparse.

    Parameters
    ----------
    model
        A frozen backbone, as `Backbone.frozen` makes it.
    threads
        How many cores one call uses; all physical ones if None.
    reason
        Why this engine was chosen.

    Raises
    ------
    EngineError
        If DeepSparse is not installed or cannot compile the graph.
    """

    name = "deepsparse"

    def __init__(self, model: onnx.ModelProto, *, threads: int | None, reason: str) -> None:
        absent = why_absent()
        if absent is not None:
            raise EngineError(absent)
        silence_telemetry()
        value = model.graph.input[0].type.tensor_type.shape.dim
        batch, channels, height, width = (d.dim_value for d in value)
        with temporary_folder() as folder:
            # A copy of the graph, because DeepSparse may write into the file that it is given.
            path = folder / "frozen.onnx"
            onnx.save(model, str(path))
            with native_diagnostics() as diagnostics:
                try:
                    with _without_torch():
                        import deepsparse

                    self._engine = deepsparse.Engine(
                        model=str(path), batch_size=batch, num_cores=threads
                    )
                except Exception as error:
                    lines = [*str(error).splitlines(), *diagnostics()]
                    detail = next((line for line in lines if line.strip()), type(error).__name__)
                    raise EngineError(
                        f"DeepSparse cannot compile this backbone: {detail.strip()[:300]}"
                    ) from error
        self.choice = EngineChoice(name=self.name, version=deepsparse.__version__, reason=reason)
        self.batch_size = batch
        self.input_shape = (batch, channels, height, width)
        # The engine itself does not tell the output's shape of every graph.
        self.dimension = int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)

    @property
    def supported_fraction(self) -> float:
        """The share of operators that are compiled; the others run slowly, 0 to 1."""
        return float(self._engine.fraction_of_supported_ops)

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        batch = padded(images, self.batch_size)
        with failing_as("DeepSparse"):
            features = self._engine.run([batch], val_inp=False)[0]
        # The array lies in the engine's own memory.
        return np.array(features[: len(images)], np.float32)

    def close(self) -> None:
        """See `Engine.close`."""
        del self._engine


@contextmanager
def _without_torch() -> Iterator[None]:
    """Keep an import from loading torch, which DeepSparse does where it finds it: 2 s, 200 MB."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop("torch", None)


@contextmanager
def native_diagnostics() -> Iterator[Callable[[], list[str]]]:
    """Keep what native code writes to stderr off the terminal; yields a reader of its lines."""
    with tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(kept.fileno(), 2)

        def lines() -> list[str]:
            kept.seek(0)
            return kept.read().decode(errors="replace").splitlines()

        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
