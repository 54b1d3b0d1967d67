"""Choosing an engine for a backbone, and opening it."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgetransfer.engines.pinning import PinnedEngine, on_core
from edgetransfer.engines.plan import EnginePlan
from edgetransfer.engines.probe import probe
from edgetransfer.engines.processor import available_cores
from edgetransfer.engines.protocol import Engine
from edgetransfer.engines.registry import AUTO, KINDS, EngineKind, engine_kind
from edgetransfer.errors import EngineError


def open_engine(
    model: onnx.ModelProto,
    *,
    engine: str = AUTO,
    threads: int | None = None,
    cache: Path | None = None,
    plan: EnginePlan | None = None,
    trial: bool = True,
) -> Engine:
    """Open a frozen backbone in an engine.

    ``auto`` takes the plan's engine; without a plan, DeepSparse where a trial in a child process
    succeeds, and ONNX Runtime otherwise. The engine's ``choice.reason`` says which and why.

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
    plan
        What was measured for this backbone.
    trial
        Whether an engine that may abort is tried in a child process first.

    Raises
    ------
    EngineError
        If the asked-for engine cannot run the backbone.
    """
    if engine != AUTO:
        return _open_named(engine_kind(engine), model, threads, cache, trial)
    passed_over: list[str] = []
    if plan is not None and plan.engine != AUTO:
        try:
            return _open(engine_kind(plan.engine), model, threads, cache, trial, plan.reason)
        except EngineError as error:
            passed_over.append(str(error))
    for kind in KINDS:
        if kind.unmeasured is None:
            continue
        reason = "; ".join(passed_over) or kind.unmeasured
        try:
            return _open(kind, model, threads, cache, trial, reason)
        except EngineError as error:
            passed_over.append(str(error))
    raise EngineError("; ".join(passed_over))


def open_streams(
    model: onnx.ModelProto,
    plan: EnginePlan,
    *,
    engine: str = AUTO,
    threads: int | None = None,
    cache: Path | None = None,
    trial: bool = True,
) -> list[Engine]:
    """Open as many engines as a plan has streams, the cores shared out among them.

    Parameters
    ----------
    engine
        As in `open_engine`; where it is neither ``auto`` nor the plan's, one engine is opened.
    threads
        Of all of them together; one per core if None.
    trial
        As in `open_engine`.

    Raises
    ------
    EngineError
        If the asked-for engine cannot run the backbone.
    """
    if plan.streams == 1 or engine not in (AUTO, plan.engine):
        alone = open_engine(
            model, engine=engine, threads=threads, cache=cache, plan=plan, trial=trial
        )
        return [alone]
    each = max(1, (threads or available_cores()) // plan.streams)
    opened: list[Engine] = []
    for stream in range(plan.streams):
        with on_core(stream if plan.pinned else None):
            if not opened:
                first = open_engine(
                    model, engine=engine, threads=each, cache=cache, plan=plan, trial=trial
                )
                opened.append(first)
                if first.name != plan.engine:  # it failed by now; its streams go with it
                    break
            else:
                kind = engine_kind(first.name)
                opened.append(kind.open(model, threads=each, reason=first.choice.reason))
    if plan.pinned:
        return [PinnedEngine(engine, core) for core, engine in enumerate(opened)]
    return opened


def _open_named(
    kind: EngineKind,
    model: onnx.ModelProto,
    threads: int | None,
    cache: Path | None,
    trial: bool,
) -> Engine:
    try:
        return _open(kind, model, threads, cache, trial, "asked for by name")
    except EngineError as error:
        if kind is KINDS[-1]:
            raise
        raise EngineError(f"{error}; use --engine {KINDS[-1].name}") from error


def _open(
    kind: EngineKind,
    model: onnx.ModelProto,
    threads: int | None,
    cache: Path | None,
    trial: bool,
    reason: str,
) -> Engine:
    """Open one kind, after a trial in a child process if it may abort."""
    absent = kind.why_absent()
    if absent is not None:
        raise EngineError(absent)
    if kind.aborts and trial:
        result = probe(model, engine=kind.name, threads=threads, cache=cache)
        if not result.works:
            raise EngineError(f"{kind.title} cannot run this backbone: in a trial {result.detail}")
        reason = f"{reason}; in a trial {result.detail}"
    return kind.open(model, threads=threads, reason=reason)
