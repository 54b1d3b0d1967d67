"""A stream's run without its backbone: opened, brought to some moment, and changed as a whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

from edgetransfer.errors import RunFolderError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import FolderOwner
from edgetransfer.runs.pending import Staged, finish
from edgetransfer.runs.run_folder import HEAD, METRICS
from edgetransfer.settings.config import load
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.stream.keeping.checkpoints import Checkpoint, CheckpointFolder
from edgetransfer.stream.keeping.derived import derived_files
from edgetransfer.stream.keeping.journal import segments
from edgetransfer.stream.keeping.mark import NAME as MARK
from edgetransfer.stream.keeping.mark import encode_mark
from edgetransfer.stream.keeping.metrics_log import metrics_until
from edgetransfer.stream.keeping.recovery import (
    CHECKPOINTS,
    IDS,
    JOURNAL,
    restore,
    stream_config,
)
from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.learning.learners import Learner, learner_for
from edgetransfer.stream.learning.records import Record


@dataclass(kw_only=True)
class Moment:
    """A stream's run at some moment.

    Parameters
    ----------
    learner
        As it was then.
    group
        Number of the journal's next group.
    ids
        Keys of all samples that it had accepted, 16 bytes each.
    time
        Of its last record, or of its checkpoint, in seconds since 1970.
    run
        As `Checkpoint.run`, of the checkpoint that it was come from.
    """

    learner: Learner
    group: int
    ids: bytes
    time: float
    run: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: RunFolder, checkpoint: Checkpoint, ids: bytes) -> Moment:
        """The moment of a checkpoint.

        Raises
        ------
        DataError
            If it holds no state of such a learner.
        """
        learner = learner_for(checkpoint.state.values["dimension"], learning_of(folder, checkpoint))
        try:
            restore(learner, checkpoint, folder.path)
        except BaseException:
            learner.close()
            raise
        run = checkpoint.run
        return cls(learner=learner, group=run["group"], ids=ids, time=run["time"], run=run)

    @property
    def accepted(self) -> int:
        """Samples accepted."""
        return self.learner.counts.accepted

    @property
    def position(self) -> int:
        """Records of the journal."""
        return self.learner.counts.position

    def replay(self, records: Sequence[Record]) -> None:
        """Go on, by what the journal holds next."""
        for record in records:
            self.learner.apply(record)
            self.group = record.group + 1
            self.time = record.time
        self.ids += b"".join(key for r in records if (key := r.key) is not None)

    def checkpoint(self, **changed: Any) -> Checkpoint:
        """A checkpoint of it; ``changed`` goes before what `run` says."""
        run = {
            **self.run,
            "group": self.group,
            "ids": len(self.ids) // ID_BYTES,
            "ids_checksum": zlib.crc32(self.ids),
            "time": time(),
            **changed,
        }
        return Checkpoint(state=self.learner.state(), run=run)

    def derived(self) -> dict[str, bytes]:
        """Head, labels and report."""
        return derived_files(self.learner, self.run["head"])


@contextmanager
def held(run: Path, command: str) -> Iterator[tuple[RunFolder, str | None]]:
    """The folder of a stream's run that nobody else writes to, and what was finished just now.

    Raises
    ------
    RunFolderError
        If it is no stream's run, or the stream is running.
    """
    folder = stream_folder(run, finish=False)
    owner = FolderOwner(folder.path, command)
    try:
        yield folder, finish(folder.path)
    finally:
        owner.release()


def stream_folder(run: Path, *, finish: bool = True) -> RunFolder:
    """The folder of a stream's run.

    Parameters
    ----------
    finish
        As of `RunFolder.open`.

    Raises
    ------
    RunFolderError
        If it is none.
    """
    folder = RunFolder.open(run, finish=finish)
    if stream_config(folder) is None:
        raise RunFolderError(f"{run}: not the run of a stream")
    return folder


def stage_moment(staged: Staged, run: Path, moment: Moment, checkpoint: Checkpoint) -> list[str]:
    """Write a moment beside the run as it is; returns the files that hold later ones.

    Of the journal stays what lies before the moment.
    """
    staged.write(f"{CHECKPOINTS}/{checkpoint.name}", *checkpoint.encoded())
    staged.write(IDS, moment.ids)
    staged.write(MARK, encode_mark(moment.position))
    if (run / METRICS).exists():
        staged.write(METRICS, metrics_until(run / METRICS, moment.learner.counts.batches))
    files = moment.derived()
    for name, content in files.items():
        staged.write(name, content)
    gone = [] if HEAD in files or not (run / HEAD).exists() else [HEAD]
    gone += [
        f"{CHECKPOINTS}/{path.name}"
        for path in CheckpointFolder(run / CHECKPOINTS).names()
        if path.name > checkpoint.name
    ]
    return gone


def journal_names(run: Path) -> list[str]:
    """The segments of a run's journal, by their names within the run."""
    return [f"{JOURNAL}/{path.name}" for path in segments(run / JOURNAL)]


def learning_of(folder: RunFolder, checkpoint: Checkpoint) -> LearningSettings:
    """How a run is learned; the config is asked where the checkpoint is of an earlier version."""
    table = checkpoint.run.get("learning") or folder.read_config()["stream"]
    return load(LearningSettings, table, folder.path).resolved(table)
