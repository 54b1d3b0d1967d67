"""Removing samples and classes from a stream's run, so that nothing of them stays."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.reports.rewind import ForgetRecord
from edgetransfer.runs.pending import Staged
from edgetransfer.runs.run_folder import PAGE
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.derived import report_of
from edgetransfer.stream.keeping.erasing import stage_erasure
from edgetransfer.stream.keeping.history import Moment, held, journal_names, stage_moment
from edgetransfer.stream.keeping.kept_rows import BEYOND, gone_keys, learned_samples
from edgetransfer.stream.keeping.recovery import CHECKPOINTS, JOURNAL, look
from edgetransfer.stream.keeping.thumbnails import STEPS, all_thumbnails
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.stream.learning.feature_learner import FeatureLearner
from edgetransfer.stream.learning.ids import ID_BYTES, id_key
from edgetransfer.stream.learning.records import Learned
from edgetransfer.stream.learning.statistics_learner import StatisticsLearner

REMEMBERED = 1000  # forgotten classes whose names' keys are kept
NAMED = 5  # samples that a refusal names


def forget(run: Path, *, ids: frozenset[str], classes: frozenset[str]) -> ForgetRecord:
    """Remove samples, or whole classes, and fit the head to what stays.

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
            if isinstance(learner, StatisticsLearner):
                removed, keys = _forget_exactly(folder.path, moment.ids, learner, ids, classes)
            else:
                assert isinstance(learner, FeatureLearner)
                removed, keys = learner.forget(ids, classes), None
            forgotten = [*before, *(key for key in gone if key not in before)]
            _keep_only(folder.path, moment, forgotten, ids, classes, keys)
            return {"removed": removed, **report_of(learner)}
        finally:
            moment.learner.close()


def _as_learned(name: str, classes: Sequence[str]) -> str:
    """A class in the form that labels are kept in; older runs may have it as it was typed."""
    return name if name in classes else unicodedata.normalize("NFC", name)


def _forget_exactly(
    run: Path,
    known: bytes,
    learner: StatisticsLearner,
    ids: frozenset[str],
    classes: frozenset[str],
) -> tuple[int, frozenset[bytes]]:
    """Take samples out of statistics; returns how many there were, and the keys of all.

    Raises
    ------
    UsageError
        If the features of one are not kept any more.
    """
    keys = frozenset(map(id_key, ids))
    learned = learned_samples(run / JOURNAL, keys, classes)
    accepted = {known[at : at + ID_BYTES] for at in range(0, len(known), ID_BYTES)}
    samples: dict[bytes, Learned | None] = dict(learned)
    samples |= {key: None for key in keys if learner.pooled(key) is not None}
    gone = gone_keys(run / JOURNAL)
    lost = sorted(i for i in ids if (k := id_key(i)) in accepted - gone and k not in samples)
    for name in sorted(classes & set(learner.classes)):
        there = sum(sample.label == name for sample in learned.values())
        if there < learner.class_counts[name]:
            lost.append(f"{learner.class_counts[name] - there} samples of class {name!r}")
    if lost:
        named = ", ".join(lost[:NAMED]) + (", …" if len(lost) > NAMED else "")
        raise UsageError(f"{run}: cannot take {named} away again: {BEYOND}")
    return learner.forget(samples, classes), frozenset(samples)


def _keep_only(
    run: Path,
    moment: Moment,
    forgotten: list[str],
    ids: frozenset[str],
    classes: frozenset[str],
    keys: frozenset[bytes] | None,
) -> None:
    """Make a moment all that there is of a run.

    ``keys`` are those of the samples that leave the journal; all do if it is None.
    """
    checkpoint = moment.checkpoint(
        revision=moment.run["revision"] + 1, forgotten=forgotten[-REMEMBERED:]
    )
    with Staged(run) as staged:
        gone = stage_moment(staged, run, moment, checkpoint)
        gone += stage_erasure(staged, run, ids, classes, keys or frozenset())
        names = CheckpointFolder(run / CHECKPOINTS).names()
        gone += [f"{CHECKPOINTS}/{path.name}" for path in names]
        gone += [] if keys is not None else [*journal_names(run), *all_thumbnails(run)]
        staged.commit("forget", remove=[*gone, PAGE, STEPS], aside=None)
