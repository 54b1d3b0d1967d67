"""A learner that survives: journal before acknowledgement, checkpoints, recovery."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import RLock
from time import monotonic, time
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import UsageError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import FolderOwner
from edgetransfer.runs.pending import Staged, finish
from edgetransfer.runs.run_folder import METRICS, PAGE
from edgetransfer.settings.config import dump
from edgetransfer.settings.learning import KeepingSettings, LearningSettings
from edgetransfer.stream.keeping.admission import Admission, Taken
from edgetransfer.stream.keeping.checkpoints import Checkpoint, CheckpointFolder
from edgetransfer.stream.keeping.corrections import Corrections, corrected
from edgetransfer.stream.keeping.derived import DerivedFiles, derived_files, report_of
from edgetransfer.stream.keeping.erasing import stage_erasure
from edgetransfer.stream.keeping.id_file import IdFile
from edgetransfer.stream.keeping.journal import FULL, Journal
from edgetransfer.stream.keeping.mark import NAME as MARK
from edgetransfer.stream.keeping.mark import Mark
from edgetransfer.stream.keeping.metrics_log import MetricsLog
from edgetransfer.stream.keeping.pacing import CheckpointPace
from edgetransfer.stream.keeping.predictions import Predictions
from edgetransfer.stream.keeping.recovery import (
    CHECKPOINTS,
    IDS,
    JOURNAL,
    Found,
    config_checksum,
    look,
    restore,
    set_aside,
)
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.learners import Learner, learner_for
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.learning.records import Kind, Record
from edgetransfer.stream.learning.views import Guess, predict_offers

logger = logging.getLogger(__name__)

Written = Callable[[Sequence[Receipt]], None]
"""Told of samples that are on disk, in the order in which they were offered, each once."""
Admitted = tuple[Kind, Offer, str | None]
"""What an offer becomes, and the class that it was taken for."""


class DurableLearner:
    """A learner in a run folder; one call after the other, whichever threads they come from.

    Parameters
    ----------
    run
        The run folder; what is in it is gone on with.
    dimension
        The length D of a feature row.
    identity
        What the features depend on: backbone, preprocessing. A run keeps to one.
    head_metadata
        Saved with the head.
    owner
        Of the run folder, which this one lets go of in the end; it takes the folder itself if
        None.

    Raises
    ------
    RunFolderError
        If another process has the run open.
    UsageError
        If the run was begun with other settings.
    DataError
        If what was acknowledged is damaged.
    """

    def __init__(
        self,
        run: RunFolder,
        dimension: int,
        learning: LearningSettings,
        keeping: KeepingSettings,
        *,
        identity: str,
        head_metadata: dict[str, str],
        owner: FolderOwner | None = None,
    ) -> None:
        self.run = run
        self._keeping = keeping
        self._identity = identity
        self._head_metadata = head_metadata
        self._derived = DerivedFiles(run, head_metadata)
        self._lock = RLock()
        self._held = ExitStack()
        holder = owner if owner is not None else FolderOwner(run.path, "stream")
        self._held.callback(holder.release)
        try:
            self._recover(dimension, learning)
        except BaseException:
            self._held.close()
            raise

    def _recover(self, dimension: int, learning: LearningSettings) -> None:
        run = self.run
        done = finish(run.path)
        if done is not None:
            logger.warning("%s: %s was cut off, and is finished now", run.path, done)
        # Everything is looked at before anything is changed: a start that fails has no effect.
        found = look(run.path)
        checkpoint = found.checkpoint
        begun_with = None if checkpoint is None else checkpoint.run.get("learning", {})
        self.learner: Learner = learner_for(dimension, learning.resolved(begun_with))
        self._held.callback(self.learner.close)
        self._revision, self._forgotten = 0, []
        if checkpoint is not None:
            self._check(checkpoint, dimension)
            restore(self.learner, checkpoint, run.path)
            self._revision = checkpoint.run["revision"]
            self._forgotten = checkpoint.run.get("forgotten", [])
        self.checkpoints = CheckpointFolder(run.path / CHECKPOINTS)
        self.ids = IdFile(run.file(IDS), found.ids)
        self._admission = Admission(self.learner, self.ids, self._keeping.max_classes)
        self._metrics = MetricsLog(run.file(METRICS))
        self._predictions = Predictions(run.path)
        self.learner.on_batch = self._metrics.record
        records = found.journal.records
        for record in records:
            self._apply(record)
        if records:
            logger.info("replayed %d records of the journal", len(records))
        self._uncovered = sum(len(record.encoded()) for record in records)
        self._taken_in = monotonic()
        self._pace = CheckpointPace(self._keeping.checkpoint_seconds)
        self._saved_position = -1 if checkpoint is None else checkpoint.position
        self._mend(found)
        if checkpoint is None and not records:
            self.save()  # so that every run says what it was begun with
        try:
            self._derived.mend(self.learner)
        except OSError as error:
            if error.errno not in FULL:
                raise
            logger.warning("%s: no room for the head; it follows later", run.path)

    def _mend(self, found: Found) -> None:
        """Make good what was found damaged, and open for writing what is whole."""
        run = self.run.path
        for remark in found.remarks:
            logger.warning("%s", remark)
        set_aside(run, found)
        if not found.ids_intact:
            write_atomically(self.ids.path, found.ids)
        mark = Mark(run / MARK, found.journal.position)
        self._held.callback(mark.close)
        self._journal = Journal.going_on(run / JOURNAL, found.journal, mark)
        self._held.callback(self._journal.close)
        self._metrics.open(self.learner.counts.batches)

    def _check(self, checkpoint: Checkpoint, dimension: int) -> None:
        """A run goes on with the settings that it began with."""
        if checkpoint.run["identity"] != self._identity:
            raise UsageError(
                f"{self.run.path}: this run was begun with another backbone, or another "
                "preprocessing; choose another --out"
            )
        if checkpoint.state.values["dimension"] != dimension:
            raise UsageError(f"{self.run.path}: the backbone's features have another length now")

    @property
    def position(self) -> int:
        """Records accepted."""
        return self.learner.counts.position

    def known(self, sample_id: str) -> bool:
        """Whether a sample of this id was accepted, with a label or without."""
        return id_key(sample_id) in self.ids

    def open_for_label(self, sample_id: str) -> bool:
        """Whether an unlabelled sample of this id waits for its label."""
        return self.learner.pooled(id_key(sample_id)) is not None

    def accept(self, offers: Sequence[Offer], written: Written | None = None) -> list[Receipt]:
        """Take in samples: predict them, write them down, learn them.

        When this returns they are on disk.

        Parameters
        ----------
        written
            Told of them as soon as they are, before they are learned.

        Raises
        ------
        JournalFullError
            If the disk is full; those that ``written`` was not told of were not taken in, and may
            be offered again.
        """
        with self._lock:
            return self._accept(offers, written)

    def _accept(self, offers: Sequence[Offer], written: Written | None) -> list[Receipt]:
        receipts: list[Receipt] = []
        told = 0

        def tell() -> None:
            nonlocal told
            told, new = len(receipts), receipts[told:]
            if written is not None and new:
                written(new)

        admitted: list[Admitted] = []
        taken: Taken = {}
        unlabelled: list[tuple[str, Guess]] = []
        guesses = predict_offers(self.learner.newest, offers)
        for offer, guess in zip(offers, guesses, strict=True):
            late = offer.label is not None and taken.get(id_key(offer.id), "") is None
            if late or offer.correction is not None:
                self._predictions.add(unlabelled)
                self._write(admitted, tell)  # its image is among these
                admitted, taken, unlabelled = [], {}, []
            if offer.correction is not None:
                receipts.append(corrected(self, offer))
                continue
            status, kind, reason = self._admission.of(offer, taken)
            if kind is not None:
                taken[id_key(offer.id)] = offer.label
                admitted.append((kind, offer, guess.name))
                if offer.label is None:
                    unlabelled.append((offer.id, guess))
            receipts.append(
                Receipt(
                    id=offer.id,
                    status=status,
                    predicted=guess.name,
                    probability=guess.probability,
                    unknown=guess.unknown,
                    reason=reason,
                )
            )
        self._predictions.add(unlabelled)
        self._write(admitted, tell)
        return receipts

    def flush(self) -> None:
        """Learn what waits for a full batch; for the end of a source.

        Raises
        ------
        JournalFullError
            As `accept`.
        """
        with self._lock:
            if self.learner.waiting:
                self._write([("flush", Offer(id="", label=None, rows=None), None)])

    def relabel(self, ids: Sequence[str], label: str) -> list[Receipt]:
        """Give samples that were learned another label; see `Corrections`."""
        with self._lock:
            return Corrections(self).relabel(ids, label)

    def forget(self, ids: Sequence[str]) -> list[Receipt]:
        """Take samples away, as if they had never been learned; see `Corrections`."""
        with self._lock:
            return Corrections(self).forget(ids)

    def drop_empty_classes(self) -> frozenset[str]:
        """Let go of classes that no sample has any more; returns their names.

        The checkpoints before go, as by `forget`. Should such a class come again it is born anew.

        Raises
        ------
        UsageError
            If the learner is not one on statistics.
        OSError
            If there is no room to do it; then nothing was changed.
        """
        with self._lock:
            return Corrections(self).drop_empty_classes()

    @property
    def waited(self) -> float:
        """Seconds since a labelled sample was taken in that waits for a full batch; 0 for none."""
        return monotonic() - self._taken_in if self.learner.waiting else 0.0

    def save(self) -> None:
        """Write a checkpoint, and the head beside it; a full disk only postpones it."""
        with self._lock:
            try:
                if self._saved_position != self.position:
                    self.checkpoint()
                elif self._derived.position != self.position:
                    self._derived.save(self.learner)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                logger.warning(
                    "%s: no room for a checkpoint; the journal holds everything", self.run.path
                )

    def save_if_due(self) -> None:
        """Write a checkpoint if another one is due."""
        with self._lock:
            if self._saved_position != self.position and self._pace.due:
                self.save()

    def checkpoint(self) -> None:
        """Write a checkpoint; an `OSError` leaves everything as it was."""
        with self._pace.saving():
            self.checkpoints.save(self.standing())
            self._saved_position = self.position
            self._uncovered = 0
            self.checkpoints.prune(self._keeping.checkpoints)
            # The other half is for what comes until the next checkpoint.
            self._journal.rotate(self.checkpoints.covered(), self._keeping.journal_bytes // 2)
            self._derived.save(self.learner)

    def standing(self) -> Checkpoint:
        """A checkpoint of the state as it is; the ids that it counts are on disk."""
        count = self.ids.save()
        return Checkpoint(
            state=self.learner.state(),
            run={
                "group": self._journal.group,
                "ids": count,
                "ids_checksum": self.ids.checksum,
                "time": time(),
                "learning": dump(self.learner.settings),
                "config": config_checksum(self.run.path),
                "identity": self._identity,
                "revision": self._revision,
                "forgotten": self._forgotten,
                "head": self._head_metadata,
            },
        )

    def report(self) -> dict[str, Any]:
        """How the run stands, as JSON values."""
        return report_of(self.learner)

    @property
    def journal_folder(self) -> Path:
        """Where the records are."""
        return self.run.path / JOURNAL

    def why_no_class(self, label: str) -> str | None:
        """Why no sample can have this label; None if one can."""
        return self._admission.why_no_class(label, {})

    def close(self) -> None:
        """Let go of the run, without a checkpoint: the journal is enough."""
        self._held.close()

    @property
    def journal_bytes(self) -> int:
        """Disk that the journal takes."""
        return self._journal.size

    def _write(self, admitted: Sequence[Admitted], then: Callable[[], object] = tuple) -> None:
        """Write samples down, do what is to be done then, and learn them."""
        if not admitted:
            then()
            return
        records = []
        for kind, offer, guess in admitted:
            rows, predicted = self.learner.recorded(
                kind, id_key(offer.id), offer.rows, None if offer.label is None else guess
            )
            records.append(
                Record(
                    n=0,
                    group=0,
                    kind=kind,
                    id=offer.id,
                    label=offer.label,
                    rows=rows,
                    predicted=predicted,
                )
            )
        self.write_down(records, then)

    def write_down(self, drafts: Sequence[Record], then: Callable[[], object] = tuple) -> None:
        """Write one group of records, do what is to be done then, and apply them.

        Their places and times are given here.

        Raises
        ------
        JournalFullError
            As `accept`.
        """
        now = time()
        records = [
            replace(
                draft,
                n=self.position + i,
                group=self._journal.group,
                left=len(drafts) - 1 - i,
                time=now,
            )
            for i, draft in enumerate(drafts)
        ]
        self._uncovered += self._journal.append(records)
        try:
            then()
        finally:  # what was written is learned, whatever becomes of the answers
            with self._pace.learning():
                for record in records:
                    self._apply(record)
            self._taken_in = monotonic()
        if self._uncovered > self._keeping.journal_bytes // 2:
            self.save()
        else:
            self.save_if_due()

    def keep_only_this(self, forgotten: frozenset[str]) -> None:
        """Make the learner, as it is now, all that there is of the run: see `forget`.

        An `OSError` leaves the run on disk as it was.
        """
        self._revision += 1
        checkpoint = self.standing()
        staged = Staged(self.run.path)
        try:
            staged.write(f"{CHECKPOINTS}/{checkpoint.name}", *checkpoint.encoded())
            for name, content in derived_files(self.learner, self._head_metadata).items():
                staged.write(name, content)
            keys = frozenset(map(id_key, forgotten))
            gone = stage_erasure(staged, self.run.path, forgotten, frozenset(), keys)
            self._journal.close()  # its file is about to be another one
            older = [f"{CHECKPOINTS}/{path.name}" for path in self.checkpoints.names()]
            staged.commit("forget", remove=[*older, *gone, PAGE], aside=None)
        except BaseException:
            staged.discard()
            raise
        self._journal.reopened()
        self._saved_position = self._derived.position = self.position
        self._uncovered = 0

    def _apply(self, record: Record) -> None:
        if (key := record.key) is not None:
            self.ids.add(key)
        self.learner.apply(record)
