"""Removing samples and classes from a stream's run, so that nothing of them stays."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.derived import report_of
from edgetransfer.stream.keeping.history import Moment, held, journal_names, stage_moment
from edgetransfer.stream.keeping.predictions import NAME, OLDER, without
from edgetransfer.stream.keeping.recovery import CHECKPOINTS, look
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.stream.learning.ids import id_key

REMEMBERED = 1000  # forgotten classes whose names' keys are kept


def forget(run: Path, *, ids: frozenset[str], classes: frozenset[str]) -> dict[str, Any]:
    """Remove samples, or whole classes, and fit the head to what stays.

    Their rows leave the reservoir, the journal, every checkpoint and what was set aside: older
    checkpoints and the journal are deleted, so there is no going back behind this. That an id was
    once accepted is still known, so it is not learned again. A class that is named is dropped
    from the head; it is born anew should it come again. To forget once more what was forgotten
    changes nothing, so that the call may be repeated after a kill.

    Raises
    ------
    UsageError
        If nothing is named, or a class is not known.
    RunFolderError
        If it is no stream's run, or the stream is running.
    """
    if not ids and not classes:
        raise UsageError("what is to be forgotten? give --id or --class")
    with blas_on_one_thread(), held(run, "forget") as (folder, _):
        found = look(folder.path)
        if found.checkpoint is None:
            raise RunFolderError(f"{run}: it has no checkpoint yet; has the stream been started?")
        moment = Moment.at(folder, found.checkpoint, found.ids)
        try:
            moment.replay(found.journal.records)
            learner = moment.learner
            classes = frozenset(_as_learned(name, learner.classes) for name in classes)
            gone = [id_key(name).hex() for name in sorted(classes)]
            before = moment.run.get("forgotten", [])
            for name in sorted(classes - set(learner.classes)):
                if id_key(name).hex() not in before:
                    raise UsageError(f"{run}: no class {name!r} was learned")
            removed = learner.forget(ids, classes)
            predictions = {
                name: without(folder.path / name, ids, classes)
                for name in (NAME, OLDER)
                if (folder.path / name).exists()
            }
            forgotten = [*before, *(key for key in gone if key not in before)]
            _keep_only(folder.path, moment, forgotten, predictions)
            return {"removed": removed, **report_of(learner)}
        finally:
            moment.learner.close()


def _as_learned(name: str, classes: Sequence[str]) -> str:
    """A class in the form that labels are kept in; older runs may have it as it was typed."""
    return name if name in classes else unicodedata.normalize("NFC", name)


def _keep_only(run: Path, moment: Moment, forgotten: list[str], others: dict[str, bytes]) -> None:
    """Make a moment all that there is of a run; ``others`` are files that lose some lines."""
    checkpoint = moment.checkpoint(
        revision=moment.run["revision"] + 1, forgotten=forgotten[-REMEMBERED:]
    )
    staged, gone = stage_moment(run, moment, checkpoint)
    try:
        for name, content in others.items():
            staged.write(name, content)
        names = CheckpointFolder(run / CHECKPOINTS).names()
        gone += [f"{CHECKPOINTS}/{path.name}" for path in names]
        staged.commit("forget", remove=[*gone, *journal_names(run)], aside=None)
    except BaseException:
        staged.discard()
        raise
