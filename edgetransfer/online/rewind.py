"""Going back to an earlier checkpoint, and forgetting samples."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.online.checkpoints import Checkpoint, CheckpointFolder, read_checkpoint
from edgetransfer.online.durable import CHECKPOINTS, JOURNAL, DurableLearner
from edgetransfer.online.journal import sync_folder
from edgetransfer.online.learner import blas_on_one_thread
from edgetransfer.online.settings import KeepingSettings, LearningSettings
from edgetransfer.owning import FolderOwner, owned
from edgetransfer.reports import RunFolder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SavedState:
    """A checkpoint that can be returned to.

    Parameters
    ----------
    accepted
        Samples that it holds.
    time
        When it was written, in seconds since 1970.
    path
        Its file.
    """

    accepted: int
    time: float
    path: Path


def saved_states(run: Path) -> list[SavedState]:
    """The whole checkpoints of a run, oldest first."""
    found = []
    for path in CheckpointFolder(run / CHECKPOINTS).names():
        checkpoint = read_checkpoint(path)
        if checkpoint is not None:
            found.append(
                SavedState(accepted=checkpoint.accepted, time=checkpoint.run["time"], path=path)
            )
    return found


def rollback(run: Path, to: str) -> SavedState:
    """Return a run to its newest checkpoint at or before a point; what came later is dropped.

    Samples that came later are not known any more, so they may be sent again.

    Parameters
    ----------
    to
        A number of accepted samples, or a local time such as ``2025-03-01T12:00``.

    Raises
    ------
    UsageError
        If ``to`` is neither, or no checkpoint is as old as that.
    RunFolderError
        If it is no stream's run, or the stream is running.
    """
    folder = _stream_folder(run)
    owner = FolderOwner(folder.path, "rollback")
    try:
        states = saved_states(run)
        count, moment = _parse(to)
        chosen = None
        for state in states:
            if (count is not None and state.accepted <= count) or (
                moment is not None and state.time <= moment
            ):
                chosen = state
        if chosen is None:
            there = ", ".join(str(s.accepted) for s in states) or "none"
            raise UsageError(
                f"{run}: no checkpoint at or before {to}; there are some at {there} samples"
            )
        # First the journal, whole: without it every checkpoint stands for itself. Then the
        # newer checkpoints, the newest first. A kill in between leaves a state that was.
        journal = folder.path / JOURNAL
        aside = folder.path / f"{JOURNAL}.dropped"
        shutil.rmtree(aside, ignore_errors=True)
        if journal.exists():
            journal.rename(aside)
            sync_folder(folder.path)
        for path in reversed(CheckpointFolder(run / CHECKPOINTS).names()):
            if path == chosen.path:
                break
            path.unlink()
        sync_folder(run / CHECKPOINTS)
        shutil.rmtree(aside, ignore_errors=True)
    except BaseException:
        owner.release()
        raise
    learner = _open(folder, owner)
    try:
        learner.checkpoint()
    finally:
        learner.close()
    return chosen


def forget(run: Path, *, ids: frozenset[str], classes: frozenset[str]) -> dict[str, Any]:
    """Remove samples, or whole classes, and fit the head to what stays.

    Their rows leave the reservoir, the journal and every checkpoint: older checkpoints and the
    journal are deleted, so there is no going back behind this. That an id was once accepted is
    still known, so it is not learned again. A class that is named is dropped from the head; it
    is born anew should it come again.

    Raises
    ------
    UsageError
        If nothing is named, or a class is not known.
    RunFolderError
        If it is no stream's run, or the stream is running.
    """
    if not ids and not classes:
        raise UsageError("what is to be forgotten? give --id or --class")
    with blas_on_one_thread():
        folder = _stream_folder(run)
        durable = _open(folder, FolderOwner(folder.path, "forget"))
        try:
            unknown = sorted(classes - set(durable.learner.classes))
            if unknown:
                raise UsageError(f"{run}: no class {unknown[0]!r} was learned")
            removed = durable.learner.forget(ids, classes)
            durable.forget_history()
            return {"removed": removed, **durable.report()}
        finally:
            durable.close()


def export(run: Path, out: Path) -> dict[str, Any]:
    """Write head, labels and report of a run's newest checkpoint to a folder; returns the report.

    The report holds the prequential confusion matrix, rows are true classes in the order of the
    labels. The stream may run meanwhile. The folder can be given to ``predict`` and ``evaluate``.

    Raises
    ------
    RunFolderError
        If it is no stream's run, has learned nothing yet, or ``out`` is taken.
    """
    from edgetransfer.heads import LinearHead
    from edgetransfer.reports.run_folder import HEAD, LABELS, REPORT

    folder = _stream_folder(run)
    checkpoint = _steady(folder)
    values, arrays = checkpoint.state.values, checkpoint.state.arrays
    classes = tuple(values["classes"][: values["born"]])
    if not classes:
        raise RunFolderError(f"{run}: nothing was learned yet, so there is no head to export")
    head = LinearHead(weights=arrays["solver.weights"], bias=arrays["solver.bias"], classes=classes)
    counts = values["counts"]
    report = {
        "run": str(run.resolve()),
        "time": datetime.fromtimestamp(checkpoint.run["time"]).astimezone().isoformat(),
        "accepted": counts["accepted"],
        "learned": counts["learned"],
        "classes": len(classes),
        "class_counts": dict(zip(classes, arrays["by_class"].tolist(), strict=True)),
        "confusion": arrays["scores.confusion"].tolist(),
    }
    RunFolder.check(out)
    with owned(out, "export"):
        exported = RunFolder.begin(out, resume=False, overwrite=False)
        head.save(exported.file(HEAD), checkpoint.run["head"])
        exported.write(LABELS, "".join(f"{name}\n" for name in classes))
        exported.write_json(REPORT, report)
        exported.write_config({**folder.read_config(), "out": str(out.resolve())})
    return report


def _steady(folder: RunFolder) -> Checkpoint:
    """The newest checkpoint, though the stream may delete old ones meanwhile."""
    for _ in range(10):
        checkpoint = CheckpointFolder(folder.path / CHECKPOINTS).newest()
        if checkpoint is not None:
            return checkpoint
    raise RunFolderError(f"{folder.path}: it has no checkpoint yet; has the stream been started?")


def _stream_folder(run: Path) -> RunFolder:
    folder = RunFolder.open(run)
    if "stream" not in folder.read_config():
        raise RunFolderError(f"{run}: not the run of a stream")
    return folder


def _open(folder: RunFolder, owner: FolderOwner) -> DurableLearner:
    """The learner of a run, without its backbone; it lets go of the run in the end."""
    try:
        checkpoint = _steady(folder)
        learning = LearningSettings(**folder.read_config()["stream"])
    except BaseException:
        owner.release()
        raise
    return DurableLearner(
        folder,
        checkpoint.state.values["dimension"],
        learning,
        KeepingSettings(),
        identity=checkpoint.run["identity"],
        head_metadata=checkpoint.run["head"],
        owner=owner,
    )


def _parse(to: str) -> tuple[int | None, float | None]:
    if to.isdecimal():
        return int(to), None
    try:
        return None, datetime.fromisoformat(to).timestamp()
    except ValueError:
        raise UsageError(
            f"--to is a number of samples or a time such as 2025-03-01T12:00, not {to!r}"
        ) from None
