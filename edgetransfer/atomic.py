"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import time
from typing import BinaryIO

TRIES = 2  # deleting may fail for a moment: another program looks at the file
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
LONGEST_NAME = 255  # bytes; of all common file systems
POSIX = os.name == "posix"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_LEFT = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write a file, in one part or more, under a temporary name, flush it to disk, and rename it.

    A reader, or a restart after a kill or a power cut, finds the old file or the new one.

    Raises
    ------
    OSError
        If it cannot be written, with the file's name; the old file stays and nothing half-written
        remains.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, Sequence[bytes | memoryview]]) -> None:
    """Write files that belong together, each as `write_atomically` does.

    None is renamed before all are on disk, so that a disk that is full leaves all the old ones. A
    kill may fall between two renamings: the file that the others are of no use without comes last.

    Raises
    ------
    OSError
        As `write_atomically`.
    """
    temporary: dict[Path, _Temporary] = {}
    with contextlib.ExitStack() as left:
        for path, content in files.items():
            with naming(path):
                temporary[path] = made = _Temporary(path)
                left.callback(made.remove)
                made.write(content)
        for path, made in temporary.items():
            with naming(path):
                made.rename(path)


def copy_to_free(source: Path, target: Path) -> bool:
    """Copy a file, with its times, whole, under a name that nobody has; False if somebody has it.

    What a killed copy to that name has left makes way. Nothing is flushed: the original is there.

    Raises
    ------
    OSError
        If it cannot be copied; then nothing of it is left.
    """
    if os.path.lexists(target):
        if POSIX:
            _make_way(_temporary_name(target))
        return False
    with contextlib.ExitStack() as left:
        made = _Temporary(target)
        left.callback(made.remove)
        made.copy(source)
        return made.take(target)


@contextlib.contextmanager
def opened_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file that is written bit by bit, and has its name once the block has ended.

    Raises
    ------
    OSError
        As `write_atomically`. Where the block ends in an error the old file stays.
    """
    with contextlib.ExitStack() as left:
        with naming(path):
            made = _Temporary(path)
        left.callback(made.remove)
        yield made.file
        with naming(path):
            made.write(())
            made.rename(path)


class _Temporary:
    """A file under a temporary name.

    That is the same for each writing of a file, so what a killed process has left there makes way
    for the next one, in whatever folder that is; who writes holds a lock (flock), by which a name
    that is in use is known: then, and where there are no locks, it is one that nobody else has.
    """

    def __init__(self, path: Path) -> None:
        self._path = _temporary_name(path)
        handle = _opened_new(self._path) if POSIX and _make_way(self._path) else None
        if handle is None:
            self._path = _temporary_name(path, uuid.uuid4().hex[:8])
            handle = os.open(self._path, _NEW, 0o666)
        self.file = os.fdopen(handle, "wb")
        self._renamed = False

    def write(self, content: Sequence[bytes | memoryview]) -> None:
        """Write the whole content, and flush it to disk."""
        self.file.writelines(content)
        self.file.flush()
        os.fsync(self.file.fileno())

    def copy(self, source: Path) -> None:
        """Write what a file holds, and give it that file's times and mode where that can be."""
        with source.open("rb") as file:
            shutil.copyfileobj(file, self.file)
        self.file.flush()
        with contextlib.suppress(OSError):
            shutil.copystat(source, self._path)

    def take(self, path: Path) -> bool:
        """Give it a name that nobody has; False if somebody has taken it meanwhile."""
        try:
            os.link(self._path, path)  # unlike a renaming, it never replaces
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if os.path.lexists(path):
                return False
            self.rename(path)
        return True

    def rename(self, path: Path) -> None:
        """Give it its name; from then on it is no temporary file."""
        if not POSIX:  # Windows renames no open file
            self.file.close()
        os.replace(self._path, path)
        self._renamed = True
        self.file.close()

    def remove(self) -> None:
        """Take away what was not renamed; what failed before it is what counts."""
        if self._renamed:
            return
        if not POSIX:
            self._close()
        try:
            remove_file(self._path)
        finally:
            self._close()  # only now: whoever has the lock may use the name

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()


def _temporary_name(path: Path, mark: str = "0" * 8) -> Path:
    name, letters = path.name, os.fsencode(path.name)
    if len(letters) > LONGEST_NAME - len(f"..{mark}.tmp"):
        name = hashlib.sha256(letters).hexdigest()
    return path.with_name(f".{name}.{mark}.tmp")


def _opened_new(path: Path) -> int | None:
    """A new file, locked; None if another process has the name, or there are no locks."""
    try:
        handle = os.open(path, _NEW, 0o666)
    except FileExistsError:
        return None
    locked = _lock(handle)
    if locked and _is_at(handle, path):
        return handle
    os.close(handle)
    if locked is None:
        path.unlink(missing_ok=True)
    return None


def _make_way(path: Path) -> bool:
    """Whether nothing is of this name any more: what a dead process has left is taken away."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not (_lock(handle) and _is_at(handle, path)):
            return False
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _lock(handle: int) -> bool | None:
    """Whether a file is locked now; None if that cannot be."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one of a name."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors name the file that was to be written: the system names a temporary one, or none."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with naming(folder):
            os.fsync(handle)
    finally:
        os.close(handle)


def remove_file(path: Path) -> bool:
    """Delete a file that is of no use any more; whether it is gone."""
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            return True
    return False


def remove_folder(folder: Path) -> None:
    """Delete a folder that is of no use any more, as far as that can be done."""
    for _ in range(TRIES):
        if os.path.lexists(folder):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards; a disk that is full within is named by it."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="edgetransfer-"))
    try:
        yield folder
    except OSError as error:
        if error.errno not in NO_ROOM or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        remove_folder(folder)


def is_leftover(name: str) -> bool:
    """Whether a file of this name was left by a write that was killed."""
    return _LEFT.fullmatch(name) is not None


def remove_leftovers(folder: Path, *, after: float = 0.0) -> None:
    """Delete what killed writes have left.

    Parameters
    ----------
    after
        Seconds that it has lain there: for a folder that others write to as well. None by default,
        for whoever alone writes to it.
    """
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        if is_leftover(path.name):
            with contextlib.suppress(FileNotFoundError):
                if not after or time() - path.lstat().st_mtime > after:
                    path.unlink()
