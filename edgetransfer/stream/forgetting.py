"""Removing samples and classes from a stream's run, so that nothing of them stays."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.reports.rewind import ForgetRecord
from edgetransfer.runs.asking import done_in
from edgetransfer.runs.pending import Staged
from edgetransfer.runs.run_folder import PAGE
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.derived import report_of
from edgetransfer.stream.keeping.erasing import Removed, stage_erasure
from edgetransfer.stream.keeping.history import Moment, held, journal_names, stage_moment
from edgetransfer.stream.keeping.recovery import CHECKPOINTS, look
from edgetransfer.stream.keeping.removing import named_classes, removable
from edgetransfer.stream.keeping.thumbnails import STEPS, all_thumbnails
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.stream.learning.choosing_learner import ChoosingLearner
from edgetransfer.stream.learning.feature_learner import FeatureLearner
from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.learning.statistics_learner import StatisticsLearner


def forget(run: Path, *, ids: frozenset[str], classes: frozenset[str]) -> ForgetRecord:
    """Remove samples, or whole classes, and fit the head to what stays.

    A stream that is running is asked to do it, between two of its samples; one of statistics can.

    Their rows leave the learner, the journal, every checkpoint and what was set aside: older
    checkpoints are deleted, so there is no going back behind this. A learner on statistics is then
    as if it had never seen them; one by replay is fitted to what stays of its reservoir, and loses
    its journal. That an id was once accepted is still known, so it is not learned again. A class
    that is named is dropped from the head; it is born anew should it come again. To forget once
    more what was forgotten changes nothing, so that the call may be repeated after a kill.

    Raises
    ------
    UsageError
        If nothing is named, or a class is not known, or the features of a sample, which are to be
        taken out of the statistics, are not kept any more.
    RunFolderError
        If it is no stream's run, or in use by a process that cannot be asked.
    """
    if not ids and not classes:
        raise UsageError("what is to be forgotten? give --id or --class")
    asked = {"do": "forget", "ids": sorted(ids), "classes": sorted(classes)}
    return cast(ForgetRecord, done_in(run, lambda: {**_forget(run, ids, classes)}, asked))


def _forget(run: Path, ids: frozenset[str], classes: frozenset[str]) -> ForgetRecord:
    """As `forget`, in a run that nobody else has."""
    with blas_on_one_thread(), held(run, "forget") as (folder, _):
        found = look(folder.path)
        if found.checkpoint is None:
            raise RunFolderError(f"{run}: it has no checkpoint yet; has the stream been started?")
        moment = Moment.at(folder, found.checkpoint, found.ids)
        try:
            moment.replay(found.journal.records)
            learner = moment.learner
            before = moment.run.get("forgotten", [])
            classes, forgotten = named_classes(run, classes, learner.classes, before)
            keys: frozenset[bytes] | None = None
            if isinstance(learner, StatisticsLearner | ChoosingLearner):
                accepted = _accepted(moment.ids)
                samples = removable(
                    folder.path, accepted.__contains__, learner, ids=ids, classes=classes
                )
                removed, keys = learner.forget(samples, classes), frozenset(samples)
            else:
                assert isinstance(learner, FeatureLearner)
                removed = learner.forget(ids, classes)
            removal = Removed(keys=keys or frozenset(), ids=ids, classes=classes)
            _keep_only(folder.path, moment, forgotten, removal, whole=keys is None)
            return {"removed": removed, **report_of(learner)}
        finally:
            moment.learner.close()


def _accepted(ids: bytes) -> frozenset[bytes]:
    return frozenset(ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES))


def _keep_only(
    run: Path,
    moment: Moment,
    forgotten: list[str],
    removed: Removed,
    *,
    whole: bool,
) -> None:
    """Make a moment all that there is of a run; ``whole`` if nothing stays of the journal."""
    checkpoint = moment.checkpoint(revision=moment.run["revision"] + 1, forgotten=forgotten)
    with Staged(run) as staged:
        gone = stage_moment(staged, run, moment, checkpoint)
        gone += stage_erasure(staged, run, removed)
        names = CheckpointFolder(run / CHECKPOINTS).names()
        gone += [f"{CHECKPOINTS}/{path.name}" for path in names]
        gone += [*journal_names(run), *all_thumbnails(run)] if whole else []
        staged.commit("forget", remove=[*gone, PAGE, STEPS], aside=None)
