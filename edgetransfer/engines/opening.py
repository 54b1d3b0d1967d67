"""Choosing an engine for a backbone, and opening it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import onnx

from edgetransfer.engines.protocol import Engine
from edgetransfer.errors import EngineError, UsageError

EngineName = Literal["auto", "deepsparse", "onnxruntime"]


def open_engine(
    model: onnx.ModelProto,
    *,
    engine: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
) -> Engine:
    """Open a frozen backbone in an engine.

    ``auto`` takes DeepSparse where a trial in a child process succeeds, and ONNX Runtime
    otherwise; the engine's ``choice.reason`` says which and why.

    Parameters
    ----------
    model
        A frozen backbone, as `Backbone.frozen` makes it.
    engine
        ``auto``, ``deepsparse`` or ``onnxruntime``.
    threads
        Threads per call; one per physical core if None.
    cache
        A folder to remember in what was tried.

    Raises
    ------
    EngineError
        If the asked-for engine cannot run the backbone.
    """
    from edgetransfer.engines.deepsparse_engine import DeepSparseEngine, why_absent
    from edgetransfer.engines.onnxruntime_engine import OnnxRuntimeEngine
    from edgetransfer.engines.probe import probe_deepsparse

    if engine not in get_args(EngineName):
        raise UsageError(f"--engine is one of {', '.join(get_args(EngineName))}, not {engine!r}")
    if engine == "onnxruntime":
        return OnnxRuntimeEngine(model, threads=threads, reason="asked for by name")
    absent = why_absent()
    if absent is not None:
        if engine == "deepsparse":
            raise EngineError(f"{absent}; use --engine onnxruntime")
        return OnnxRuntimeEngine(model, threads=threads, reason=absent)
    result = probe_deepsparse(model, threads=threads, cache=cache)
    if result.works:
        why = "asked for by name" if engine == "deepsparse" else "it gains from sparsity"
        return DeepSparseEngine(model, threads=threads, reason=f"{why}; in a trial {result.detail}")
    if engine == "deepsparse":
        raise EngineError(
            f"DeepSparse cannot run this backbone: {result.detail}; use --engine onnxruntime"
        )
    return OnnxRuntimeEngine(
        model, threads=threads, reason=f"DeepSparse failed a trial: {result.detail}"
    )
