"""The append-only journal: what was accepted, before it is acknowledged.

A journal is a folder of segments, each named by the position of its first record and holding
records one after the other. A group of records is written at once and synced before anything is
acknowledged; the next group is only written after that. So after a crash only the last group can
be torn, and none of it was acknowledged.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetransfer.atomic import naming, sync_folder
from edgetransfer.errors import DataError
from edgetransfer.stream.keeping.mark import Mark
from edgetransfer.stream.keeping.opened import open_file, write_all
from edgetransfer.stream.learning.records import MAGIC, Record, decode

SUFFIX = ".log"
_SEGMENT = re.compile(r"\d{20}\.log")
FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])


class JournalFullError(OSError):
    """There is no room on the disk; what was written before is whole."""

    @classmethod
    def of(cls, error: OSError) -> JournalFullError:
        """The same of an error of the system, with its file."""
        return cls(error.errno, error.strerror, error.filename)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a journal holds after a state; nothing was changed by looking.

    Parameters
    ----------
    records
        All that follow the state without a gap.
    position, group
        Of the next record, and of the next group.
    last
        The last segment; None if there is none.
    whole, torn
        Bytes of the last segment that are whole records, and bytes after them: of a group whose
        write was cut off.
    damage
        What is wrong with records that were acknowledged, and are not here; None if nothing is.
    """

    records: list[Record]
    position: int
    group: int
    last: Path | None = None
    whole: int = 0
    torn: int = 0
    damage: str | None = None


class Journal:
    """The journal of one run, open for appending.

    Made by `Journal.open`.

    Parameters
    ----------
    position
        Of the next record.
    group
        Of the next group.
    mark
        Told what was acknowledged.
    """

    def __init__(self, folder: Path, position: int, group: int, mark: Mark | None = None) -> None:
        self.folder = folder
        self.position = position
        self.group = group
        self._mark = mark
        self._file: int | None = None
        self._size = 0
        self._total = 0  # bytes of all segments

    @classmethod
    def open(cls, folder: Path, position: int, group: int) -> tuple[Journal, list[Record]]:
        """Open a journal for a state at ``position``; returns the records after it, too.

        ``group`` is the number of the next group as that state knew it. A torn last group is
        dropped.

        Raises
        ------
        DataError
            If records are missing or damaged that were acknowledged.
        """
        reading = read_journal(folder, position, group)
        if reading.damage is not None:
            raise DataError(reading.damage)
        return cls.going_on(folder, reading), reading.records

    @classmethod
    def going_on(cls, folder: Path, reading: Reading, mark: Mark | None = None) -> Journal:
        """Open a journal as it was read; what is torn at its end is cut off."""
        folder.mkdir(parents=True, exist_ok=True)
        journal = cls(folder, reading.position, reading.group, mark)
        if reading.last is not None:
            handle = open_file(reading.last, os.O_RDWR)
            try:
                with naming(reading.last):
                    if reading.torn:
                        os.ftruncate(handle, reading.whole)
                    os.fsync(handle)  # what a killed process wrote may not be on disk yet
            finally:
                os.close(handle)
            if reading.records or first_position(reading.last) == reading.position:
                journal._continue(reading.last)
        journal._measure()
        return journal

    def append(self, records: Sequence[Record]) -> int:
        """Write one group and sync it; returns its bytes.

        Raises
        ------
        JournalFullError
            If the disk is full; nothing of the group stays, and it may be tried again.
        """
        data = b"".join(record.encoded() for record in records)
        try:
            if self._file is None:
                self._begin()
            assert self._file is not None
            with naming(self._segment):
                write_all(self._file, data)
                os.fsync(self._file)
        except OSError as error:
            if self._file is not None:
                with naming(self._segment):
                    os.ftruncate(self._file, self._size)
                    os.lseek(self._file, self._size, os.SEEK_SET)
            if error.errno in FULL:
                raise JournalFullError.of(error) from error
            raise
        self._size += len(data)
        self._total += len(data)
        self.position += len(records)
        self.group += 1
        if self._mark is not None:
            self._mark.set(self.position)
        return len(data)

    @property
    def size(self) -> int:
        """Bytes of all segments; counted along, since a look at the folder takes a handle."""
        return self._total

    def rotate(self, covered: int, budget: int) -> None:
        """Begin a new segment, and delete the oldest ones that lie before ``covered``.

        As many stay as fit the budget; segments that no checkpoint covers always do.
        """
        self.close()
        paths = segments(self.folder)
        sizes = [path.stat().st_size for path in paths]
        total = sum(sizes)
        for i, path in enumerate(paths):
            end = first_position(paths[i + 1]) if i + 1 < len(paths) else self.position
            if total <= budget or end > covered:
                break
            path.unlink()
            total -= sizes[i]
        self._total = total

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def reopened(self) -> None:
        """Go on in a segment of its own, after others were changed from outside."""
        self.close()
        self._measure()

    def _begin(self) -> None:
        self._segment = self.folder / segment_name(self.position)
        self._file = open_file(self._segment, os.O_RDWR | os.O_CREAT)
        with naming(self._segment):
            os.ftruncate(self._file, 0)
        self._size = 0
        sync_folder(self.folder)
        self._measure()

    def _measure(self) -> None:
        self._total = sum(path.stat().st_size for path in segments(self.folder))

    def _continue(self, path: Path) -> None:
        self._segment = path
        self._file = open_file(path, os.O_RDWR)
        self._size = os.lseek(self._file, 0, os.SEEK_END)


def read_journal(folder: Path, position: int, group: int, acknowledged: int = 0) -> Reading:
    """Look at what a journal holds after a state at ``position``, and change nothing.

    Parameters
    ----------
    group
        The number of the next group as that state knew it.
    acknowledged
        How many records the run has at least.
    """
    records: list[Record] = []
    found = segments(folder)
    expected = position
    whole = torn = 0
    following = group
    damage = None
    for index, path in enumerate(found):
        last = index == len(found) - 1
        if not last and first_position(found[index + 1]) <= position:
            continue  # covered whole by the checkpoint
        data = path.read_bytes()
        whole = 0
        for record, end in whole_records(data):
            if position <= record.n != expected:
                damage = f"{path}: record {expected} is missing (found {record.n})"
                break
            whole = end
            group = max(group, record.group + (record.left == 0))  # that is due here
            following = max(following, record.group + 1)
            if record.n == expected:
                records.append(record)
                expected += 1
        if damage is None and whole < len(data):
            # A later group was only begun when this place had been synced.
            if not last or _latest_group(data, whole + 1) > group:
                damage = f"{path}: damaged at byte {whole}, in what was acknowledged"
            else:
                torn = len(data) - whole
        if damage is not None:
            break
    if damage is None and expected < acknowledged:
        damage = f"{folder}: {acknowledged - expected} acknowledged records are missing at its end"
    return Reading(
        records=records,
        position=expected,
        group=following,
        last=found[-1] if found else None,
        whole=whole,
        torn=torn,
        damage=damage,
    )


def segments(folder: Path) -> list[Path]:
    """The segments of a journal, in order."""
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if _SEGMENT.fullmatch(p.name))


def first_position(segment: Path) -> int:
    """The position that a segment begins at."""
    return int(segment.stem)


def segment_name(position: int) -> str:
    """The name of a segment that begins at a position."""
    return f"{position:020d}{SUFFIX}"


def whole_records(data: bytes) -> Iterator[tuple[Record, int]]:
    """The whole records of a segment from its beginning, each with the byte that it ends at."""
    offset = 0
    while (found := decode(data, offset)) is not None:
        yield found
        offset = found[1]


def _latest_group(data: bytes, offset: int) -> int:
    """The group of the last whole record after an offset; -1 if there is none."""
    latest = -1
    while (offset := data.find(MAGIC, offset)) >= 0:
        found = decode(data, offset)
        if found is None:
            offset += 1
        else:
            latest = found[0].group
            offset = found[1]
    return latest
