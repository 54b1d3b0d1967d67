"""What is found in the folder of a run: looked at as a whole, before anything is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import DataError, RunFolderError, UsageError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.pending import ASIDE
from edgetransfer.runs.run_folder import CONFIG
from edgetransfer.stream.keeping.checkpoints import Checkpoint, CheckpointFolder, read_checkpoint
from edgetransfer.stream.keeping.id_file import read_ids
from edgetransfer.stream.keeping.journal import Reading, read_journal
from edgetransfer.stream.keeping.mark import NAME as MARK
from edgetransfer.stream.keeping.mark import read_mark
from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.learning.learners import Learner
from edgetransfer.stream.learning.state_check import check_state

JOURNAL, CHECKPOINTS, IDS = "journal", "checkpoints", "ids.bin"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A run as it stands on disk.

    Parameters
    ----------
    checkpoint
        The newest that is whole; None if the run has none yet.
    broken
        Newer ones, which are not.
    ids
        Keys of the samples that the checkpoint holds.
    ids_intact
        Whether the id file begins with them.
    journal
        What follows the checkpoint.
    remarks
        What is damaged, and what becomes of it.
    unfinished
        Those of the remarks that say no more than what a write leaves in its midst, whether it was
        cut off or is under way.
    """

    checkpoint: Checkpoint | None
    broken: tuple[Path, ...]
    ids: bytes
    ids_intact: bool
    journal: Reading
    remarks: tuple[str, ...]
    unfinished: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing at all is damaged."""
        return self.journal.damage is None and not self.remarks and self.ids_intact

    @property
    def accepted(self) -> int:
        """Samples that are whole."""
        before = 0 if self.checkpoint is None else self.checkpoint.accepted
        return before + sum(record.key is not None for record in self.journal.records)


def look(run: Path) -> Found:
    """Look at a run, and change nothing; what can be made good is among the remarks.

    Raises
    ------
    DataError
        If what was acknowledged is damaged, and cannot be had from elsewhere in the run.
    """
    found = look_leniently(run)
    if found.journal.damage is not None:
        raise DataError(
            f"{found.journal.damage}; restore it from a copy, or go on from what is whole: "
            f"`edgetransfer rollback {run} --to {found.accepted}`"
        )
    if found.checkpoint is None and found.broken and not found.journal.records:
        raise DataError(f"{found.broken[-1]}: no checkpoint is whole; restore one from a copy")
    if found.checkpoint is not None and len(found.ids) < found.checkpoint.run["ids"] * ID_BYTES:
        raise DataError(
            f"{run / IDS}: damaged, and the journal does not reach back far enough to write it "
            "anew; restore it from a copy, or go back to before the damage: `edgetransfer "
            f"rollback {run} --list`"
        )
    return found


def look_leniently(run: Path) -> Found:
    """As `look`; damage is told in the journal's reading, and by ids that are too few."""
    checkpoint, broken = _newest(run)
    position, group, count, checksum = 0, 0, 0, None
    unfinished = []
    remarks = [f"{path}: damaged; the checkpoint before it is gone on from" for path in broken]
    mark = read_mark(run / MARK)
    if checkpoint is not None:
        position, group = checkpoint.position, checkpoint.run["group"]
        count, checksum = checkpoint.run["ids"], checkpoint.run.get("ids_checksum")
        if checkpoint.run.get("config") not in (None, config_checksum(run)):
            remarks.append(f"{run / CONFIG}: not as it was; it was edited, or is damaged")
        if mark is None and checksum is not None:
            unfinished.append(f"{run / MARK}: missing or damaged; it is written anew")
    journal = read_journal(run / JOURNAL, position, group, mark or 0)
    if journal.torn:
        known = "" if mark is None else "; none of it was acknowledged"
        unfinished.append(
            f"{journal.last}: the last {journal.torn} bytes are no whole record{known}; they are "
            "set aside"
        )
    keys = read_ids(run / IDS, count, checksum)
    rebuilt = None
    if keys is None:
        rebuilt = rebuilt_ids(run, position, count, checksum)
        if rebuilt is not None:
            remarks.append(f"{run / IDS}: damaged; it is written anew from the journal")
    return Found(
        checkpoint=checkpoint,
        broken=tuple(broken),
        ids=keys or rebuilt or b"",
        ids_intact=keys is not None,
        journal=journal,
        remarks=(*remarks, *unfinished),
        # The mark is written once the journal's end is whole: both at once are no write's midst.
        unfinished=() if len(unfinished) > 1 else tuple(unfinished),
    )


def stream_config(folder: RunFolder) -> dict[str, Any] | None:
    """What a run's config says of its stream; None if it is the run of something else.

    Raises
    ------
    RunFolderError
        If it cannot be read, or has lost its table.
    """
    table: dict[str, Any] | None = folder.read_config().get("stream")
    here = [name for name in (JOURNAL, CHECKPOINTS, IDS, MARK) if folder.file(name).exists()]
    if table is None and here:
        raise RunFolderError(
            f"{folder.file(CONFIG)}: damaged: it says nothing of a stream, but {here[0]} beside it "
            "is a stream's; restore it from a copy"
        )
    return table


def begun_stream(folder: RunFolder) -> dict[str, Any] | None:
    """What a stream that may have begun in a folder says of itself; None before it has.

    Nothing is written, so that a place can be refused before anything is opened for it.

    Raises
    ------
    RunFolderError
        If the place holds something else, or what it says cannot be read.
    UsageError
        If it is the run of something else.
    """
    RunFolder.check(folder.path)
    if not folder.is_run:
        return None
    begun = stream_config(folder)
    if begun is None:
        raise UsageError(f"{folder.path}: holds a run of another kind; choose another folder")
    return begun


def restore(learner: Learner, checkpoint: Checkpoint, run: Path) -> None:
    """Bring a learner to where a checkpoint stands.

    Raises
    ------
    DataError
        If the checkpoint is whole, but holds no state of such a learner.
    """
    try:
        check_state(checkpoint.state)
        learner.restore(checkpoint.state)
    except (
        DataError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
    ) as error:
        raise DataError(
            f"{run / CHECKPOINTS / checkpoint.name}: holds no state that edgetransfer saved "
            f"({type(error).__name__}: {error}); take the run from another copy"
        ) from error


def config_checksum(run: Path) -> int | None:
    """CRC-32 of a run's config; None if it has none."""
    try:
        return crc32((run / CONFIG).read_bytes())
    except FileNotFoundError:
        return None


def set_aside(run: Path, found: Found) -> None:
    """Copy what is damaged to where it is out of the way; it is overwritten where it stands."""
    for path in found.broken:
        (run / ASIDE).mkdir(exist_ok=True)
        os.replace(path, run / ASIDE / path.name)
    journal = found.journal
    if journal.torn and journal.last is not None:
        (run / ASIDE).mkdir(exist_ok=True)
        tail = journal.last.read_bytes()[journal.whole :]
        write_atomically(run / ASIDE / f"{journal.last.stem}-{journal.whole}.tail", tail)
    if not found.ids_intact and (run / IDS).exists():
        (run / ASIDE).mkdir(exist_ok=True)
        write_atomically(run / ASIDE / IDS, (run / IDS).read_bytes())


def rebuilt_ids(run: Path, position: int, count: int, checksum: int | None) -> bytes | None:
    """The keys of the samples before a position, of an older checkpoint's and the journal.

    None if the journal does not reach back that far.
    """
    for base, group, before, known in _bases(run, position):
        keys = read_ids(run / IDS, before, known)
        if keys is None:
            continue
        records = read_journal(run / JOURNAL, base, group).records[: position - base]
        keys += b"".join(key for r in records if (key := r.key) is not None)
        if len(records) == position - base and _fits(keys, count, checksum):
            return keys
    return None


def _bases(run: Path, position: int) -> Iterator[tuple[int, int, int, int | None]]:
    """Position, group, ids and their checksum of states before a position, the newest first."""
    for path in reversed(CheckpointFolder(run / CHECKPOINTS).names()):
        old = read_checkpoint(path)
        if old is not None and old.position < position:
            yield old.position, old.run["group"], old.run["ids"], old.run.get("ids_checksum")
    yield 0, 0, 0, None


def _fits(keys: bytes, count: int, checksum: int | None) -> bool:
    return len(keys) == count * ID_BYTES and checksum in (None, crc32(keys))


def _newest(run: Path) -> tuple[Checkpoint | None, list[Path]]:
    broken: list[Path] = []
    for path in reversed(CheckpointFolder(run / CHECKPOINTS).names()):
        checkpoint = read_checkpoint(path)
        if checkpoint is not None:
            return checkpoint, broken
        broken.append(path)
    return None, broken
