"""Choosing an engine for a backbone, and opening it."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgetransfer.engines.probe import probe
from edgetransfer.engines.protocol import Engine
from edgetransfer.engines.registry import AUTO, KINDS, EngineKind, engine_kind
from edgetransfer.errors import EngineError


def open_engine(
    model: onnx.ModelProto,
    *,
    engine: str = AUTO,
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
        ``auto``, or the name of a kind in `edgetransfer.engines.registry`.
    threads
        Threads per call; one per physical core if None.
    cache
        A folder to remember in what was tried.

    Raises
    ------
    EngineError
        If the asked-for engine cannot run the backbone.
    """
    if engine != AUTO:
        return _open_named(engine_kind(engine), model, threads, cache)
    passed_over: list[str] = []
    for kind in KINDS:
        if kind.unmeasured is None:
            continue
        try:
            return _open(kind, model, threads, cache, passed_over or [kind.unmeasured])
        except EngineError as error:
            passed_over.append(str(error))
    raise EngineError("; ".join(passed_over))


def _open_named(
    kind: EngineKind, model: onnx.ModelProto, threads: int | None, cache: Path | None
) -> Engine:
    try:
        return _open(kind, model, threads, cache, ["asked for by name"])
    except EngineError as error:
        if kind is KINDS[-1]:
            raise
        raise EngineError(f"{error}; use --engine {KINDS[-1].name}") from error


def _open(
    kind: EngineKind,
    model: onnx.ModelProto,
    threads: int | None,
    cache: Path | None,
    reasons: list[str],
) -> Engine:
    """Open one kind, after a trial in a child process if it may abort."""
    absent = kind.why_absent()
    if absent is not None:
        raise EngineError(absent)
    reason = "; ".join(reasons)
    if kind.aborts:
        result = probe(model, engine=kind.name, threads=threads, cache=cache)
        if not result.works:
            raise EngineError(f"{kind.title} cannot run this backbone: in a trial {result.detail}")
        reason = f"{reason}; in a trial {result.detail}"
    return kind.open(model, threads=threads, reason=reason)
