"""The append-only journal: what was accepted, before it is acknowledged.

A journal is a folder of segments, each named by the position of its first record and holding
records one after the other. A group of records is written at once and synced before anything is
acknowledged; the next group is only written after that. So after a crash only the last group can
be torn, and none of it was acknowledged.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgetransfer.errors import DataError
from edgetransfer.online.records import MAGIC, Record, decode

SUFFIX = ".log"
FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])


class JournalFullError(Exception):
    """There is no room on the disk; what was written before is whole."""


class Journal:
    """The journal of one run, open for appending.

    Made by `Journal.open`.

    Parameters
    ----------
    position
        Of the next record.
    group
        Of the next group.
    """

    def __init__(self, folder: Path, position: int, group: int) -> None:
        self.folder = folder
        self.position = position
        self.group = group
        self._file: int | None = None
        self._size = 0

    @classmethod
    def open(cls, folder: Path, position: int, group: int) -> tuple[Journal, list[Record]]:
        """Open a journal for a state at ``position``; returns the records after it, too.

        ``group`` is the number of the next group as that state knew it.

        A torn last group is dropped.

        Raises
        ------
        DataError
            If records are missing or damaged that were acknowledged.
        """
        folder.mkdir(parents=True, exist_ok=True)
        records: list[Record] = []
        found = segments(folder)
        expected = position
        for index, path in enumerate(found):
            last = index == len(found) - 1
            if not last and first_position(found[index + 1]) <= position:
                continue  # covered whole by the checkpoint
            for record in _read(path, mend=last, group=group):
                group = max(group, record.group + 1)
                if record.n < position:
                    continue
                if record.n != expected:
                    raise DataError(
                        f"{path}: record {expected} is missing (found {record.n}); the journal "
                        f"was changed by hand. `edgetransfer rollback` to a checkpoint before it"
                    )
                records.append(record)
                expected += 1
        journal = cls(folder, expected, group)
        if (found and records) or (found and first_position(found[-1]) == expected):
            journal._continue(found[-1])
        return journal, records

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
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            os.fsync(self._file)
        except OSError as error:
            if self._file is not None:
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
            if error.errno in FULL:
                raise JournalFullError(str(error)) from error
            raise
        self._size += len(data)
        self.position += len(records)
        self.group += 1
        return len(data)

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(path.stat().st_size for path in segments(self.folder))

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

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin(self) -> None:
        path = self.folder / f"{self.position:020d}{SUFFIX}"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(self._file, 0)
        self._size = 0
        sync_folder(self.folder)

    def _continue(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR)
        self._size = os.lseek(self._file, 0, os.SEEK_END)


def segments(folder: Path) -> list[Path]:
    """The segments of a journal, in order."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def first_position(segment: Path) -> int:
    """The position that a segment begins at."""
    return int(segment.stem)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path, *, mend: bool, group: int) -> Iterator[Record]:
    """The records of a segment; with ``mend``, what is torn at its end is cut off.

    ``group`` is the number of the group that the next record belongs to, as far as is known.
    """
    data = path.read_bytes()
    offset = 0
    while offset < len(data):
        found = decode(data, offset)
        if found is None:
            # A later group was only begun when this place had been synced.
            if not mend or _latest_group(data, offset + 1) > group:
                raise DataError(
                    f"{path}: damaged at byte {offset}, in what was acknowledged; restore the "
                    "file from a copy, or `edgetransfer rollback` to a checkpoint before it"
                )
            with path.open("r+b") as file:
                file.truncate(offset)
                os.fsync(file.fileno())
            return
        record, offset = found
        group = record.group + (record.left == 0)
        yield record


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
