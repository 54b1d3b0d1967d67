"""A learner and its run folder: recovery when it is opened, checkpoints, what follows from them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import RLock
from time import monotonic, time

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import UsageError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import FolderOwner
from edgetransfer.runs.pending import finish
from edgetransfer.runs.run_folder import METRICS
from edgetransfer.settings.config import dump
from edgetransfer.settings.learning import KeepingSettings, LearningSettings
from edgetransfer.stream.keeping.admission import Admission
from edgetransfer.stream.keeping.backlog import Backlog
from edgetransfer.stream.keeping.checkpoints import Checkpoint, CheckpointFolder
from edgetransfer.stream.keeping.derived import DERIVED, DerivedFiles
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
from edgetransfer.stream.learning.learners import Learner, learner_for
from edgetransfer.stream.learning.records import Record

logger = logging.getLogger(__name__)

SLICE = 0.1  # seconds of learning that an answer may wait for, beside its own sample's
AT_LEAST = 2  # times as many records are learned as come, so that those that wait get fewer
HALF = 0.5  # of the journal's bytes: the other half is for what comes until the next checkpoint
EARLY = 0.375  # of them: from here on a checkpoint is due, from a half on a fit is waited for


class KeptLearner:
    """A learner in a run folder: recovered when it is opened, and saved into it.

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
        self._held.callback(self._derived.wait)
        self._revision = 0
        self._forgotten: list[str] = []
        if checkpoint is not None:
            self._check(checkpoint, dimension)
            restore(self.learner, checkpoint, run.path)
            self._revision = checkpoint.run["revision"]
            self._forgotten = checkpoint.run.get("forgotten", [])
        self.checkpoints = CheckpointFolder(run.path / CHECKPOINTS)
        self.ids = IdFile(run.file(IDS), found.ids)
        self.backlog = Backlog(self.learner, self.ids)
        self._admission = Admission(self.backlog, self._keeping.max_classes)
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
                "preprocessing; choose another folder"
            )
        if checkpoint.state.values["dimension"] != dimension:
            raise UsageError(f"{self.run.path}: the backbone's features have another length now")

    @property
    def position(self) -> int:
        """Records learned."""
        return self.learner.counts.position

    # Learning

    def _take_in(self, records: Sequence[Record]) -> None:
        """Learn what was just written down, or let it wait for a fit."""
        new = deque(records)
        try:
            with self._pace.learning():
                while new and not self.backlog and self.learner.ready:
                    self._apply(new.popleft())
        finally:
            for record in new:
                self.backlog.add(record)
        self._catch_up(AT_LEAST * len(records))

    def _catch_up(self, least: int = 0) -> bool:
        """Learn what waits, as far as no fit need be waited for; whether there is more of that.

        It goes on for `SLICE` seconds, and until ``least`` records are learned.
        """
        until = monotonic() + SLICE
        while self.backlog and self.learner.ready:
            if least <= 0 and monotonic() > until:
                return True
            self.save_if_due()  # a fit that was waited for is through, and the next not begun
            self._learn_first()
            least -= 1
        return False

    def settle(self) -> None:
        """Learn all that was written down; fits are waited for."""
        with self._lock:
            while self.backlog:
                self._learn_first()

    def _learn_first(self) -> None:
        record = self.backlog.first
        assert record is not None
        with self._pace.learning():
            try:
                self._apply(record)
            finally:  # nothing is learned twice, whatever it fails at
                self.backlog.learned()

    # Saving

    def save(self) -> None:
        """Write a checkpoint of everything, and the head beside it.

        A full disk only postpones it.
        """
        with self._lock:
            self.settle()
            self._save()

    def _save(self, *, soon: bool = False) -> None:
        """As `save`, of what is learned by now; ``soon`` as of `checkpoint`."""
        with self._lock:
            try:
                if self._saved_position != self.position:
                    self.checkpoint(soon=soon)
                elif self._derived.position != self.position:
                    self._derived.save(self.learner)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                logger.warning(
                    "%s: no room for it, though the journal holds everything; until there is "
                    "room %s are of an earlier moment: the next start writes them",
                    error.filename or self.run.path,
                    ", ".join((CHECKPOINTS, *DERIVED)),
                )

    def save_if_due(self) -> None:
        """Write a checkpoint if another one is due, and no fit need be waited for."""
        with self._lock:
            stale = self._saved_position != self.position
            if stale and not self.learner.fitting and (self._pace.due or self._much(EARLY)):
                self._save(soon=True)

    def _much(self, share: float) -> bool:
        """Whether what no checkpoint covers takes that share of what the journal may take."""
        return self._uncovered > share * self._keeping.journal_bytes

    def checkpoint(self, *, soon: bool = False) -> None:
        """Write a checkpoint; an `OSError` leaves everything as it was.

        With ``soon`` a head that takes long is written behind that, while others learn.
        """
        with self._pace.saving():
            self.checkpoints.save(self.standing())
            self._saved_position = self.position
            self._uncovered = self.backlog.bytes
            self.checkpoints.prune(self._keeping.checkpoints)
            budget = int(HALF * self._keeping.journal_bytes)
            self._journal.rotate(self.checkpoints.covered(), budget)
            if soon:
                self._derived.save_soon(self.learner)
            else:
                self._derived.save(self.learner)

    def standing(self) -> Checkpoint:
        """A checkpoint of the state as it is; the ids that it counts are on disk."""
        count = self.ids.save()
        following = self.backlog.first
        return Checkpoint(
            state=self.learner.state(),
            run={
                "group": self._journal.group if following is None else following.group,
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

    @property
    def forgotten_classes(self) -> Sequence[str]:
        """Keys of the names of classes that were forgotten."""
        return self._forgotten

    @property
    def journal_folder(self) -> Path:
        """Where the records are."""
        return self.run.path / JOURNAL

    def close(self) -> None:
        """Let go of the run, without a checkpoint: the journal is enough."""
        self._held.close()

    @property
    def journal_bytes(self) -> int:
        """Disk that the journal takes."""
        return self._journal.size

    def _apply(self, record: Record) -> None:
        if (key := record.key) is not None:
            self.ids.add(key)
        self.learner.apply(record)
