"""The engines that there are, as data: everything else asks this list.

An engine is added by one entry in `KINDS`; choosing, probing, tuning, `doctor` and the
benchmarks then know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import onnx

from edgetransfer.engines import deepsparse_engine, deepsparse_layers, openvino_engine
from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
from edgetransfer.engines.processor import instructions
from edgetransfer.engines.protocol import Engine, EngineChoice, LayerTime
from edgetransfer.engines.sparse import opening as sparse
from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.version import __version__

AUTO = "auto"


class Opener(Protocol):
    """Opens a frozen backbone; see `open_engine`."""

    def __call__(self, model: onnx.ModelProto, *, threads: int | None, reason: str) -> Engine:
        """Open it, or raise `EngineError`."""


class LayerTimer(Protocol):
    """Times the steps of a frozen backbone that an engine of the kind has open."""

    def __call__(
        self, model: onnx.ModelProto, engine: Engine, *, threads: int | None
    ) -> tuple[LayerTime, ...]:
        """In the order of the run, or raise `EngineError`."""


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """One way to run a frozen backbone.

    Parameters
    ----------
    name
        What ``--engine`` calls it.
    title
        What people call it.
    package
        The distribution whose version decides its speed.
    open
        Opens a frozen backbone in it.
    why_absent
        A sentence if it cannot run on this machine at all, else None; imports nothing heavy.
    aborts
        Whether some graphs end its process, so that each is tried in a child process first.
    reduced
        The precision that it computes in where that is below float32 (``bf16``), else None;
        ``auto`` never takes such an engine.
    unmeasured
        Why ``auto`` may take it where nothing was measured; None if it must be measured first.
    bits_of
        What of this processor the bits of its results depend on; empty if on nothing.
    gains
        Whether it is faster on a backbone with more zeros.
    layer_times
        What times its steps; None if it cannot tell.
    describe
        What `doctor` says of it beside that: by key, texts or None; imports nothing heavy.
    notice
        What whoever has it should know.
    """

    name: str
    title: str
    package: str
    open: Opener
    why_absent: Callable[[], str | None] = lambda: None
    aborts: bool = False
    reduced: str | None = None
    unmeasured: str | None = None
    bits_of: Callable[[], str] = instructions
    gains: bool = False
    layer_times: LayerTimer | None = None
    describe: Callable[[], dict[str, str | None]] | None = None
    notice: str | None = None

    __repr__ = short_repr

    @property
    def version(self) -> str:
        """The version of its package, ``none`` if that is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return "none"


# Where nothing was measured, ``auto`` takes the first that may be taken so and works; the last
# one always does.
KINDS: tuple[EngineKind, ...] = (
    EngineKind(
        name="sparse",
        title="The sparse engine",
        package="edgetransfer",
        open=sparse.open_sparse,
        why_absent=lambda: sparse.why_absent(),
        unmeasured="it gains from sparsity and may be used in production",
        bits_of=lambda: sparse.bits_of(),
        gains=True,
        layer_times=sparse.layer_times,
        describe=lambda: sparse.describe(),
    ),
    EngineKind(
        name="deepsparse",
        title="DeepSparse",
        package="deepsparse",
        open=deepsparse_engine.DeepSparseEngine,
        why_absent=lambda: deepsparse_engine.why_absent(),
        aborts=True,
        unmeasured="it gains from sparsity",
        gains=True,
        layer_times=deepsparse_layers.layer_times,
        notice=(
            "DeepSparse's licence allows development, test and evaluation, not production; it has "
            "reached its end of life. --engine sparse and onnxruntime need neither."
        ),
    ),
    EngineKind(
        name="openvino",
        title="OpenVINO",
        package="openvino",
        open=openvino_engine.OpenVinoEngine,
        why_absent=lambda: openvino_engine.why_absent(),
    ),
    EngineKind(
        name="openvino-bf16",
        title="OpenVINO in bfloat16",
        package="openvino",
        open=openvino_engine.open_bf16,
        why_absent=lambda: openvino_engine.why_bf16_absent(),
        reduced="bf16",
    ),
    EngineKind(
        name="onnxruntime",
        title="ONNX Runtime",
        package="onnxruntime",
        open=OnnxRuntimeEngine,
        unmeasured="it runs everywhere",
    ),
)


def engine_names() -> tuple[str, ...]:
    """What ``--engine`` takes, ``auto`` first."""
    return (AUTO, *(kind.name for kind in KINDS))


def engine_kind(name: str) -> EngineKind:
    """The engine of that name.

    Raises
    ------
    UsageError
        If there is none.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise UsageError(f"--engine is one of {', '.join(engine_names())}, not {name!r}")


def result_version(choice: EngineChoice) -> str:
    """What the bits of an engine's features depend on beside its name: two are alike if this is.

    That is the version of its package, and what `EngineKind.bits_of` says of this processor.
    """
    kind = next((kind for kind in KINDS if kind.name == choice.name), None)
    if kind is None:
        return choice.version
    version = __version__ if kind.package == "edgetransfer" else choice.version
    return f"{version} on {bits}" if (bits := kind.bits_of()) else version


def reference_kind() -> EngineKind:
    """The engine that every backbone runs in, and that others are compared with."""
    return KINDS[-1]


def available_kinds() -> tuple[EngineKind, ...]:
    """The engines that can run on this machine."""
    return tuple(kind for kind in KINDS if kind.why_absent() is None)
