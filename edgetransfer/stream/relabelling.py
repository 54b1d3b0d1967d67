"""Giving samples of a stream another label, as if they had always had it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.runs.asking import done_in
from edgetransfer.runs.owning import FolderOwner
from edgetransfer.runs.pending import finish
from edgetransfer.settings.learning import KeepingSettings
from edgetransfer.stream.asked import relabelled
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.keeping.history import learning_of, stream_folder
from edgetransfer.stream.keeping.recovery import CHECKPOINTS
from edgetransfer.stream.learner import blas_on_one_thread

# Nothing that the stream keeps may go because it was opened with other budgets than its own.
ALL = KeepingSettings(journal_bytes=2**62, checkpoints=10**9, max_classes=2**31)


def relabel(run: Path, ids: Sequence[str], label: str) -> dict[str, Any]:
    """Give samples another label, by the same records as a running stream; returns a report.

    A stream that is running is asked to do it. The report has ``changed``, how many have another
    label now, ``unchanged``, how many had this one, and ``refused``, why the others stayed as they
    were, by id. What is done is on disk; `rollback` to before the last sample, or by time, goes
    back behind it. An unlabelled sample gets its label.

    Raises
    ------
    UsageError
        If no id is named, or the run does not learn by statistics.
    DataError
        If no class can be called so.
    RunFolderError
        If it is no stream's run, or in use by a process that cannot be asked.
    """
    if not ids:
        raise UsageError("which samples? give --id")
    asked = {"do": "relabel", "ids": list(ids), "label": label}
    return done_in(run, lambda: _relabel(run, ids, label), asked)


def _relabel(run: Path, ids: Sequence[str], label: str) -> dict[str, Any]:
    """As `relabel`, in a run that nobody else has."""
    folder = stream_folder(run)
    owner = FolderOwner(folder.path, "relabel")
    try:
        finish(folder.path)
        checkpoint = CheckpointFolder(folder.path / CHECKPOINTS).newest()
        if checkpoint is None:
            raise RunFolderError(f"{run}: it has no checkpoint yet; has the stream been started?")
        learning = learning_of(folder, checkpoint)
    except BaseException:
        owner.release()
        raise
    with blas_on_one_thread():
        durable = DurableLearner(
            folder,
            checkpoint.state.values["dimension"],
            learning,
            ALL,
            identity=checkpoint.run["identity"],
            head_metadata=checkpoint.run["head"],
            owner=owner,
        )
        try:
            receipts = durable.relabel(list(dict.fromkeys(ids)), label)
            durable.save()
            report = durable.report()
        finally:
            durable.close()
    return {**relabelled(receipts), **report}
