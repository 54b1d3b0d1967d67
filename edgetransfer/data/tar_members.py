"""The files of a tar archive, one after the other, read once from front to back.

`tarfile` understands every archive there is, at 25 microseconds a member; a stream of small
photos has two members a sample. So plain members (POSIX ustar, IEEE Std 1003.1, "pax") are read
here, and from the first one that is anything else the rest of the archive is left to `tarfile`.

An archive is a stranger's: headers are at most `LONGEST_HEADER` bytes (a name or an extended header
may claim gigabytes), a compressed one gives at most `MOST_EXPANSION` times its size (and
`ALLOWANCE`), and what is wanted is asked with its size, before it is read.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 512
LONGEST_HEADER = 1 << 20
MOST_EXPANSION = 100
ALLOWANCE = 256 * 2**20
READ_AHEAD = 1 << 20
_ADLER = 65521
_PLAIN = (b"ustar\x0000", b"ustar  \x00")  # POSIX, and as GNU tar writes it
_HARMLESS = frozenset([b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname"])

_COMPRESSED: tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
)

Wanted = Callable[[str, int], bool]
"""Told the name and size of a file, says whether its content is to be read."""
Members = Iterator[tuple[str, bytes | None]]


def tar_members(path: Path, wanted: Wanted) -> Members:
    """Yield name and content of each regular file; None for the content of one not wanted.

    Raises
    ------
    tarfile.TarError, OSError, EOFError
        If it is no tar archive, compressed or not, or is torn.
    """
    with path.open("rb", READ_AHEAD) as file:
        rest = yield from _plain_members(file, wanted)
        if rest is not None:
            file.seek(rest)
            try:
                yield from _other_members(file, wanted, compressed=rest == 0)
            except RecursionError:  # `tarfile` calls itself for each header before a file
                raise tarfile.ReadError("too many headers before one file") from None


class _Bounded:
    """A file of which no more is read at once than the longest header has."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.tell = file.tell
        self.seek = file.seek

    def read(self, size: int = -1) -> bytes:
        """As a file's; a `tarfile.ReadError` if it is too much."""
        if not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError("a header of more than a megabyte")
        content: bytes = self._file.read(size)
        return content


def _other_members(file: BinaryIO, wanted: Wanted, *, compressed: bool) -> Members:
    begin = file.tell()
    magic = file.read(6)
    size = file.seek(0, 2)
    file.seek(begin)
    opened: Any = file
    if compressed:
        opened = next((of(file) for mark, of in _COMPRESSED if magic.startswith(mark)), file)
    most = MOST_EXPANSION * size + ALLOWANCE  # one that is not compressed never gets there
    try:
        with tarfile.open(fileobj=_Bounded(opened), mode="r:") as archive:  # type: ignore[call-overload]
            at = -1
            while (member := archive.next()) is not None:
                archive.members.clear()
                if archive.offset <= at or member.size < 0:
                    raise tarfile.ReadError("a header that points backwards")
                at = archive.offset
                if opened is not file and at > most:
                    raise tarfile.ReadError(
                        f"it expands to more than {MOST_EXPANSION} times its size"
                    )
                if member.isfile():
                    yield member.name, _content(archive, member, wanted)
    except (tarfile.TarError, OSError, EOFError):
        raise
    except (
        ValueError,
        ArithmeticError,
        LookupError,
        TypeError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        # `tarfile` takes extended headers at their word.
        raise tarfile.ReadError(f"a damaged header or damaged compression: {error}") from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, wanted: Wanted) -> bytes | None:
    if not wanted(member.name, member.size):
        return None
    file = archive.extractfile(member)
    if file is None:
        return None
    return b"".join(iter(lambda: file.read(LONGEST_HEADER), b""))


def _plain_members(
    file: BinaryIO, wanted: Wanted
) -> Generator[tuple[str, bytes | None], None, int | None]:
    """Yield plain members; returns where the first other one begins, None at the end."""
    end = file.seek(0, 2)
    file.seek(0)
    begin = 0  # of a member, with the headers that belong to it
    at = 0  # `file.tell` asks the system each time, and gives other threads Python's lock for it
    extended = False
    while True:
        header = file.read(BLOCK)
        at += len(header)
        if not extended and begin and (not header or not any(header)):
            return None
        if begin and 0 < len(header) < BLOCK:
            raise tarfile.ReadError("unexpected end of data")
        size = _size_of(header)
        kind = header[156:157]
        if size is None or kind not in (b"0", b"\0", b"x") or header[257:265] not in _PLAIN:
            return begin
        if size > end - at:
            raise tarfile.ReadError("unexpected end of data")
        padded = -(-size // BLOCK) * BLOCK
        at += padded
        if kind == b"x":
            if extended or size > LONGEST_HEADER or not _is_harmless(file.read(padded)[:size]):
                return begin
            extended = True
            continue
        name = _text(header[:100])
        if header[345]:
            name = f"{_text(header[345:500])}/{name}"
        if name.endswith("/"):
            return begin
        if wanted(name, size):
            content = file.read(padded)
            yield name, content[:size] if padded != size else content
        else:
            file.seek(padded, 1)
            yield name, None
        begin = at
        extended = False


def _size_of(header: bytes) -> int | None:
    """The size of the content; None if this is no header, or no plain one."""
    if len(header) != BLOCK:
        return None
    try:
        checksum = int(header[148:156].strip(b" \0"), 8)
        size = int(header[124:136].strip(b" \0"), 8)
    except ValueError:
        return None
    # Adler-32 sums bytes modulo a prime in its lower half, far faster than `sum` does.
    blank = header[:148] + b"        " + header[156:]
    summed = (zlib.adler32(blank) & 0xFFFF) - 1
    return size if size >= 0 and (summed - checksum) % _ADLER == 0 else None


def _is_harmless(records: bytes) -> bool:
    """Whether an extended header says nothing of a file's name or place."""
    while records:
        length, _, rest = records.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(records):
            return False
        if rest.partition(b"=")[0] not in _HARMLESS:
            return False
        records = records[int(length) :]
    return True


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")
