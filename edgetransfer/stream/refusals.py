"""Samples that could not be used: each written down with its reason."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path

from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import SKIPPED
from edgetransfer.stream.keeping.opened import open_file, write_all

logger = logging.getLogger(__name__)

NAMED = 5  # how many are named in the log
WRITTEN = 100_000  # lines at most: a stream of nonsense must not fill the disk
LONGEST_LINE = 2**16  # bytes; what is longer was not written here


class Refusals:
    """The samples that a stream refuses: ``count`` of this start, and what is written of each.

    A sample that cannot be used comes again at every start, and whenever it is sent: its line
    stands in ``skipped.jsonl`` once, and another one where the reason is another.
    """

    def __init__(self, run: RunFolder) -> None:
        self._path = run.file(SKIPPED)
        self._written = _lines(self._path)
        self.count = 0

    def add(self, sample_id: str, reason: str) -> None:
        """Count one."""
        self.count += 1
        if self.count <= NAMED:
            logger.warning("refused %s: %s", sample_id[:200], reason)
        if self.count == NAMED + 1:
            logger.warning("more are refused; %s names them", self._path)
        line = json.dumps({"id": sample_id[:1000], "reason": reason}).encode()
        key = _key(line)
        if len(self._written) >= WRITTEN or key in self._written:
            return
        try:
            self._append(line + b"\n")
        except OSError as error:  # it is told again when it comes again
            logger.debug("%s: %s", self._path, error)
            return
        self._written.add(key)

    def _append(self, line: bytes) -> None:
        handle = open_file(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            if end := os.lseek(handle, 0, os.SEEK_END):
                os.lseek(handle, end - 1, os.SEEK_SET)
                if os.read(handle, 1) != b"\n":  # the beginning of a line that was cut off
                    line = b"\n" + line
            write_all(handle, line)
        finally:
            os.close(handle)


def _lines(path: Path) -> set[bytes]:
    """Keys of the lines of a file."""
    found: set[bytes] = set()
    with contextlib.suppress(OSError), path.open("rb") as file:
        while len(found) < WRITTEN and (line := file.readline(LONGEST_LINE)):
            found.add(_key(line.rstrip(b"\n")))
    return found


def _key(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()
