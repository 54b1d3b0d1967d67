"""One process at a time writes to a folder; who comes second is told who was first."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import sleep

from edgetransfer.atomic import is_leftover
from edgetransfer.errors import OwnedError, RunFolderError, TakenError
from edgetransfer.untrusted_json import json_value

NAME = "lock"
WAIT, TRIES = 0.02, 25  # seconds, how often: until an owner that has just begun has said who it is


class FolderOwner:
    """Owns a folder as long as the process lives; the system lets go of it however that ends.

    The file ``lock`` in the folder is locked (flock), and says in JSON who holds it: ``pid``,
    ``command``, ``since`` and ``listens``. It goes away when the folder is let go of.

    Parameters
    ----------
    folder
        It exists.
    command
        What owns it: ``train``, ``stream`` and so on.

    Raises
    ------
    OwnedError
        If another owner is there: which command, which process, since when.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self._path = folder / NAME
        while True:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._lock(folder)
            except BaseException:
                os.close(self._handle)
                raise
            if self._is_in_place():
                break
            os.close(self._handle)  # whoever had it took it away as it went
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._who = {"pid": os.getpid(), "command": command, "since": now}
        self._say_who()

    def listen(self) -> None:
        """Say that others may ask for changes, as this process looks for what they ask."""
        self._who["listens"] = True
        self._say_who()

    def _lock(self, folder: Path) -> None:
        try:
            import fcntl
        except ImportError:  # Windows: an open handle of another process is not found out
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                return  # a file system that has no locks
            words, listens = _owner(self._path)
            raise OwnedError(
                f"{folder}: {words} is running here; wait until it ends, or stop it "
                "(SIGTERM or Ctrl-C: it goes on later where it stood), or choose another folder",
                listens=listens,
            ) from None

    def _is_in_place(self) -> bool:
        """Whether the folder still has the file that is open."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._handle))

    def _say_who(self) -> None:
        text = json.dumps(self._who)
        with contextlib.suppress(OSError):  # on a full disk it is owned all the same
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, text.encode())

    def release(self) -> None:
        """Let another process in."""
        with contextlib.suppress(OSError):  # Windows does not delete what is open
            if self._is_in_place():
                self._path.unlink()
        os.close(self._handle)


@contextlib.contextmanager
def owned(folder: Path, command: str, *, temporary: bool = False) -> Iterator[FolderOwner]:
    """Own a folder for a while; it is made if it is not there, and goes then if it stays empty.

    Parameters
    ----------
    temporary
        Whether it goes if it is empty, also if it was there before.

    Raises
    ------
    RunFolderError
        If another owner is there, or it cannot be made.
    """
    passing = temporary or not folder.is_dir()
    owner = None
    while owner is None:
        make_folder(folder)
        with contextlib.suppress(FileNotFoundError):  # its last owner took it away just then
            owner = FolderOwner(folder, command)
    try:
        yield owner
    finally:
        owner.release()
        if passing:
            with contextlib.suppress(OSError):
                folder.rmdir()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises
    ------
    RunFolderError
        If a file is in the way, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise TakenError(
            f"{folder}: a file of that name is in the way; choose another folder"
        ) from None
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be made: {error.strerror}") from error


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing, but for its owner's file and what killed writes have left."""
    return all(entry.name == NAME or is_leftover(entry.name) for entry in folder.iterdir())


def owner_lives(folder: Path) -> bool:
    """Whether a process says in a folder that it owns it, and is there."""
    try:
        return _lives(int(json_value((folder / NAME).read_text())["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _owner(path: Path) -> tuple[str, bool]:
    """The process that holds a lock, in words, and whether it can be asked."""
    for _ in range(TRIES):
        try:
            who = json_value(path.read_text())
            pid = int(who["pid"])
            if _lives(pid):
                words = f"`edgetransfer {who['command']}` (process {pid}, since {who['since']})"
                return words, who.get("listens") is True
        except (OSError, ValueError, KeyError, TypeError):
            pass
        sleep(WAIT)  # it has just begun, and what stands there is of one before it
    return "another process", False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
