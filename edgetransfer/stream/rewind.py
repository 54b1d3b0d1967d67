"""Going back to an earlier moment of a stream; what came after it is set aside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.runs import RunFolder
from edgetransfer.runs.pending import ASIDE, Staged
from edgetransfer.runs.run_folder import PAGE
from edgetransfer.stream.keeping.checkpoints import Checkpoint, CheckpointFolder, read_checkpoint
from edgetransfer.stream.keeping.history import Moment, held, stage_moment, stream_folder
from edgetransfer.stream.keeping.id_file import read_ids
from edgetransfer.stream.keeping.journal import (
    first_position,
    read_journal,
    segments,
    whole_records,
)
from edgetransfer.stream.keeping.recovery import (
    CHECKPOINTS,
    IDS,
    JOURNAL,
    look_leniently,
    rebuilt_ids,
)
from edgetransfer.stream.keeping.thumbnails import STEPS
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.learning.records import Record

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

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class RolledBack:
    """What a rollback did, or would do.

    Parameters
    ----------
    accepted
        Samples that the run holds now.
    time
        Of the last of them, in seconds since 1970.
    leaving
        Samples that it held beside them.
    aside
        The folder that holds what was there before; None if nothing was changed.
    """

    accepted: int
    time: float
    leaving: int
    aside: Path | None

    __repr__ = short_repr


def saved_states(run: Path) -> list[SavedState]:
    """The whole checkpoints of a run, oldest first.

    Raises
    ------
    RunFolderError
        If it is no stream's run.
    """
    stream_folder(run)
    found = []
    for path in CheckpointFolder(run / CHECKPOINTS).names():
        checkpoint = read_checkpoint(path)
        if checkpoint is not None:
            found.append(
                SavedState(accepted=checkpoint.accepted, time=checkpoint.run["time"], path=path)
            )
    return found


def rollback(run: Path, to: str, *, dry_run: bool = False) -> RolledBack:
    """Return a run to its last moment at or before a point.

    That is the newest checkpoint there, and what the journal holds from there to the point.
    Samples that came later are not known any more, so they may be sent again; what the run held
    is set aside in a folder of its own. Also the way back from damage: what lies before it stays.

    Parameters
    ----------
    to
        A number of accepted samples, or a local time such as ``2025-03-01T12:00``.
    dry_run
        Only find out what would be done.

    Raises
    ------
    UsageError
        If ``to`` is neither, no checkpoint is as old as that, or the clock was set back around
        that time.
    RunFolderError
        If it is no stream's run, or the stream is running.
    """
    count, moment = _parse(to)
    with blas_on_one_thread(), held(run, "rollback") as (folder, _):
        there = look_leniently(folder.path)
        back = _moment(folder, _chosen(run, to, count, moment), count, moment)
        try:
            aside = None
            changes = not there.is_whole or back.position != there.journal.position
            if changes and not dry_run:
                aside = _go_back(folder.path, back)
            return RolledBack(
                accepted=back.accepted,
                time=back.time,
                leaving=max(0, there.accepted - back.accepted),
                aside=aside,
            )
        finally:
            back.learner.close()


def _chosen(run: Path, to: str, count: int | None, moment: float | None) -> SavedState:
    """The newest checkpoint at or before a point."""
    states = saved_states(run)
    if count is not None:
        before = [state for state in states if state.accepted <= count]
    else:
        assert moment is not None
        before = states[: _end(states, lambda state: state.time, moment, run)]
    if not before:
        there = ", ".join(str(s.accepted) for s in states) or "none"
        raise UsageError(
            f"{run}: no checkpoint at or before {to}; there are some at {there} samples"
        )
    return before[-1]


def _moment(
    folder: RunFolder, chosen: SavedState, count: int | None, moment: float | None
) -> Moment:
    """The moment to go back to, from the checkpoint before it."""
    run = folder.path
    checkpoint = read_checkpoint(chosen.path)
    assert checkpoint is not None  # it was whole a moment ago, and the run is ours
    journal = read_journal(run / JOURNAL, checkpoint.position, checkpoint.run["group"])
    records: Sequence[Record] = journal.records
    if count is not None:
        records = _until(records, checkpoint.accepted, count)
    else:
        assert moment is not None
        records = records[: _end(records, lambda record: record.time, moment, run)]
    back = Moment.at(folder, checkpoint, _ids(run, checkpoint))
    back.replay(records)
    return back


def _go_back(run: Path, back: Moment) -> Path:
    """Make a moment the run's last one; returns where what was there is now."""
    checkpoint = back.checkpoint(revision=back.run["revision"] + 1)
    with Staged(run) as staged:
        gone = stage_moment(staged, run, back, checkpoint)
        earlier = []
        for path in segments(run / JOURNAL):
            if first_position(path) >= back.position:
                gone.append(f"{JOURNAL}/{path.name}")
            else:
                earlier.append(path)
        if earlier and (rest := _before(earlier[-1], back.position)) is not None:
            staged.write(f"{JOURNAL}/{earlier[-1].name}", rest)
        for kept in (*gone, *staged.written):
            if (run / kept).exists():
                staged.keep(kept)
        name = f"{datetime.now():%Y-%m-%dT%H-%M-%S}-rollback-to-{back.accepted}"
        while (run / ASIDE / name).exists():
            name += "-again"
        staged.commit(
            f"rollback to {back.accepted} samples", remove=[*gone, PAGE, STEPS], aside=name
        )
    return run / ASIDE / name


def _ids(run: Path, checkpoint: Checkpoint) -> bytes:
    """Keys of the samples that a checkpoint holds, as far as they can be had."""
    count, checksum = checkpoint.run["ids"], checkpoint.run.get("ids_checksum")
    keys = read_ids(run / IDS, count, checksum)
    if keys is None:
        keys = rebuilt_ids(run, checkpoint.position, count, checksum)
    if keys is None:
        logger.warning(
            "%s: damaged; samples whose ids it does not hold any more would be learned again if "
            "they were sent again",
            run / IDS,
        )
        content = (run / IDS).read_bytes() if (run / IDS).exists() else b""
        keys = content[: min(count, len(content) // ID_BYTES) * ID_BYTES]
    return keys


def _until(records: Sequence[Record], accepted: int, count: int) -> Sequence[Record]:
    """Records up to the one that would make more than so many samples."""
    for i, record in enumerate(records):
        if record.key is not None:
            if accepted == count:
                return records[:i]
            accepted += 1
    return records


def _before(segment: Path, position: int) -> bytes | None:
    """What a segment holds before a position; None if that is all of it."""
    data = segment.read_bytes()
    end = 0
    for record, after in whole_records(data):
        if record.n >= position:
            break
        end = after
    return None if end == len(data) else data[:end]


_Item = TypeVar("_Item")


def _end(
    items: Sequence[_Item], time_of: Callable[[_Item], float], moment: float, run: Path
) -> int:
    """How many of the items, in the order of the stream, lie at or before a time.

    Raises
    ------
    UsageError
        If the clock was set back, so that more than one place in the stream is that time.
    """
    for i, item in enumerate(items):
        if time_of(item) > moment:
            if any(time_of(later) <= moment for later in items[i + 1 :]):
                raise UsageError(
                    f"{run}: the clock was set back during this run, so that time is no one "
                    f"place in it; give a number of samples: `edgetransfer rollback {run} --list`"
                )
            return i
    return len(items)


def _parse(to: str) -> tuple[int | None, float | None]:
    if to.isascii() and to.isdecimal():
        return int(to), None
    try:
        return None, datetime.fromisoformat(to).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"--to is a number of samples or a time such as 2025-03-01T12:00, not {to!r}"
        ) from None
