"""A run's predictions read behind the stream that writes them, each line once, over restarts.

What waits is ``predictions.jsonl`` itself, so that nothing is held in memory and learning never
waits. How far it was handed on stands in a state file, which moves on once it has been.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from edgetransfer.atomic import write_atomically
from edgetransfer.stream.keeping.predictions import NAME, OLDER
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

TAIL = 256  # bytes that tell a file from another one of its number


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How far predictions were handed on.

    Parameters
    ----------
    url
        To whom: an address, or a folder.
    file, offset, tail
        Device and number of the file that was read, how many of its bytes were handed on, and a
        checksum of the last of these.
    delivered
        Predictions that were taken, over all starts.
    gaps
        How often a file went before all of it was taken: the two that are kept hold 128 MB.
    """

    url: str
    file: tuple[int, int] = (0, 0)
    offset: int = 0
    tail: int = 0
    delivered: int = 0
    gaps: int = 0


class PredictionsReader:
    """Whole lines of a run's predictions, in their order, until each has been taken.

    Parameters
    ----------
    run
        The run folder.
    state
        The file in it that says how far they were taken.
    to
        By whom; a state of somebody else begins anew.
    lines, size
        At most so many lines, and bytes, at a time.
    """

    def __init__(self, run: Path, state: str, to: str, *, lines: int, size: int) -> None:
        self._run, self._state, self._to = run, run / state, to
        self._lines, self._bytes = lines, size
        state_there = self._read_state()
        self._known = state_there is not None
        self._sent = state_there or Sent(url=to)
        self._file: BinaryIO | None = None  # held: its number is not used again meanwhile

    @property
    def sent(self) -> Sent:
        """How far they were taken."""
        return self._sent

    @property
    def known(self) -> bool:
        """Whether an earlier start has handed on, or begun to, to the same one."""
        return self._known

    def close(self) -> None:
        """Close the file that is read."""
        if self._file is not None:
            self._file.close()

    def taken(self, lines: bytes, count: int) -> None:
        """What `next` returned has been taken: go on behind it, also after a restart."""
        assert self._file is not None
        offset = self._sent.offset + len(lines)
        self._sent = replace(
            self._sent,
            offset=offset,
            tail=_tail(self._file, offset),
            delivered=self._sent.delivered + count,
        )
        self.keep()

    def keep(self) -> None:
        """Write down how far it is."""
        try:
            write_atomically(self._state, json.dumps(asdict(self._sent)).encode())
        except OSError as error:  # they are handed on again after a restart
            logger.debug("%s: %s", self._state.name, error)

    def next(self) -> bytes:
        """Whole lines that come next; empty if there are none."""
        if self._file is None and not self._found():
            return b""
        lines = self._read()
        if not lines and self._ended():
            # Looked at again: what came before the file was set aside is all in it now.
            lines = self._read()
            if not lines and self._go_on():
                lines = self._read()
        return lines

    def waiting(self) -> int:
        """Bytes of predictions that were not sent yet."""
        sizes = {}
        for name in (OLDER, NAME):
            if (file := _opened(self._run / name)) is not None:
                with file:
                    sizes[_identity(file)] = os.fstat(file.fileno()).st_size
        files = list(sizes)
        if self._sent.file in files:
            behind = files[files.index(self._sent.file) :]
            return sum(sizes[file] for file in behind) - self._sent.offset
        return sum(sizes.values())

    def _read(self) -> bytes:
        assert self._file is not None
        self._file.seek(self._sent.offset)
        found = self._file.read(self._bytes)
        whole = found[: found.rfind(b"\n") + 1].splitlines(keepends=True)
        return b"".join(whole[: self._lines])

    def _found(self) -> bool:
        """Open what an earlier start was at, else the oldest file there is."""
        opened = [file for name in (OLDER, NAME) if (file := _opened(self._run / name))]
        known = next((file for file in opened if self._is_known(file)), None)
        for file in opened:
            if file is not (known or opened[0]):
                file.close()
        if not opened:
            return False
        if known is None:
            self._gap()
            self._sent = replace(self._sent, file=_identity(opened[0]), offset=0, tail=0)
        self._file = known or opened[0]
        return True

    def _is_known(self, file: BinaryIO) -> bool:
        """Whether a file is the one that was sent from: numbers of files are used again."""
        sent = self._sent
        return _identity(file) == sent.file and _tail(file, sent.offset) == sent.tail

    def _ended(self) -> bool:
        """Whether the stream writes to another file by now."""
        assert self._file is not None
        newest = _opened(self._run / NAME)
        if newest is None:
            return False
        with newest:
            return _identity(newest) != _identity(self._file)

    def _go_on(self) -> bool:
        """Open the file behind the one that was sent."""
        assert self._file is not None
        before = _identity(self._file)
        older = _opened(self._run / OLDER)
        if older is not None and _identity(older) == before:
            older.close()
            older = None
        elif older is not None:
            self._gap()
        following = older or _opened(self._run / NAME)
        if following is None:
            return False
        self._file.close()
        self._file = following
        self._sent = replace(self._sent, file=_identity(following), offset=0, tail=0)
        return True

    def _gap(self) -> None:
        if self._sent.file != (0, 0):
            self._sent = replace(self._sent, gaps=self._sent.gaps + 1)
            logger.warning("predictions may have gone before %s took them", self._sent.url[:100])

    def _read_state(self) -> Sent | None:
        """How far earlier starts came; None if they went to another one, or it is damaged."""
        try:
            found = json_value((self._state).read_bytes())
            state = Sent(**{**found, "file": tuple(found["file"])})
            fine = all(type(n) is int and n >= 0 for n in (*state.file, state.offset, state.tail))
            if fine and state.url == self._to and type(state.delivered) is int:
                return state
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass
        return None


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _identity(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def _tail(file: BinaryIO, offset: int) -> int:
    """A checksum of the bytes before an offset."""
    file.seek(max(0, offset - TAIL))
    return zlib.crc32(file.read(min(TAIL, offset)))
