"""Changes of a run's history that are made whole, however often the process is killed.

As SQLite's hot journal, the other way about: what is new is first written beside what is old, in
``.pending``; then a record of what is to be done, ``pending.json``, is renamed into its place,
and from then on the change counts as made. Whoever opens the run next carries it out to its end;
each step may be done again. Before that moment nothing of the run has been touched.

    pending.json
    .pending/new/…        files that take the places of those of the same name
    .pending/set-aside/…  what leaves, under the name that it will have in ``set-aside``
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import sleep

from edgetransfer.atomic import remove_folder, remove_leftovers, sync_folder, write_atomically
from edgetransfer.errors import DataError, RunFolderError
from edgetransfer.runs.owning import TRIES, WAIT, FolderOwner
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

RECORD, STAGE, ASIDE = "pending.json", ".pending", "set-aside"
FORMAT = "edgetransfer-pending-1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be done to a run.

    Parameters
    ----------
    what
        For the log: ``rollback to 50 samples``.
    replace
        Files that are taken over from ``.pending/new``, by their names within the run.
    remove
        Files that go; none of those that are taken over.
    aside
        Name of the folder in ``set-aside`` for what was put into `Staged.keep`; None to keep
        nothing, and to delete all that was set aside before.
    """

    what: str
    replace: tuple[str, ...]
    remove: tuple[str, ...]
    aside: str | None


class Staged:
    """A change in the making: nothing of the run is touched before `commit`.

    Whoever makes it holds the run's lock. ``written`` are the names given to `write`. Made within
    a ``with`` it goes, and leaves the run as it was, unless it was committed.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._stage = run / STAGE
        remove_folder(self._stage)
        self.written: list[str] = []

    def write(self, name: str, *content: bytes | memoryview) -> None:
        """Write what a file of the run will hold."""
        path = self._stage / "new" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, *content)
        self.written.append(name)

    def keep(self, name: str) -> None:
        """Have a file of the run, as it is now, in the folder that is set aside."""
        path = self._stage / ASIDE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self._run / name, path)
        except OSError:  # a file system without links
            write_atomically(path, (self._run / name).read_bytes())

    def commit(self, what: str, *, remove: Sequence[str], aside: str | None) -> None:
        """Let the change count, and carry it out."""
        for folder in sorted(self._stage.rglob("*")):
            if folder.is_dir():
                sync_folder(folder)
        sync_folder(self._stage)
        change = Change(
            what=what,
            replace=tuple(self.written),
            remove=tuple(n for n in remove if n not in self.written),
            aside=aside,
        )
        write_atomically(self._run / RECORD, _encoded(change))
        try:
            sync_folder(self._run)
            finish(self._run)
        except OSError:
            logger.warning(
                "%s: the %s counts, and is finished when the run is next opened", self._run, what
            )
            raise

    def __enter__(self) -> Staged:
        return self

    def __exit__(self, *_: object) -> None:
        if not (self._run / RECORD).exists():
            remove_folder(self._stage)


def pending(run: Path) -> str | None:
    """What is pending in a run; None if nothing is.

    Raises
    ------
    DataError
        If the record is damaged.
    """
    return _decoded(run / RECORD).what if (run / RECORD).exists() else None


def finish(run: Path) -> str | None:
    """Carry out what is pending in a run, and say what it was; None if nothing is.

    Whoever asks holds the run's lock.

    Raises
    ------
    DataError
        If the record is damaged.
    OSError
        If the disk does not let it be done; it stays pending.
    """
    record, stage = run / RECORD, run / STAGE
    remove_leftovers(run)
    if not record.exists():
        remove_folder(stage)  # of a change that was killed before it counted
        return None
    change = _decoded(record)
    touched = {run}
    for name in change.replace:
        target = run / name
        target.parent.mkdir(exist_ok=True)
        touched.add(target.parent)
        with contextlib.suppress(FileNotFoundError):  # done before a kill
            os.replace(stage / "new" / name, target)
    for name in change.remove:
        touched.add((run / name).parent)
        (run / name).unlink(missing_ok=True)
    if change.aside is None:
        _delete_for_good(run / ASIDE)
    elif (stage / ASIDE).exists():
        (run / ASIDE).mkdir(exist_ok=True)
        os.replace(stage / ASIDE, run / ASIDE / change.aside)
        touched.add(run / ASIDE)
    for folder in touched:
        if folder.exists():
            sync_folder(folder)
    remove_folder(stage)  # before the record: what is left of it nobody would look for
    record.unlink()
    sync_folder(run)
    return change.what


def finish_before_reading(run: Path) -> None:
    """Carry out what is pending in a run that is only to be read, so that its files fit together.

    Where it cannot be done, for another process is at it or nothing may be written there, the run
    is as far as it has come.

    Raises
    ------
    DataError
        If the record is damaged.
    """
    for _ in range(TRIES):
        if not (run / RECORD).exists():
            return
        with contextlib.suppress(RunFolderError, OSError):
            owner = FolderOwner(run, "finish")
            try:
                finish(run)
            finally:
                owner.release()
            return
        sleep(WAIT)


def _delete_for_good(folder: Path) -> None:
    """Delete what is to be forgotten; the change is not done before it is gone."""
    remove_folder(folder)
    if folder.exists():
        shutil.rmtree(folder)  # says which file, and why


def _encoded(change: Change) -> bytes:
    text = json.dumps({"format": FORMAT, **asdict(change)}, ensure_ascii=True)
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


def _decoded(path: Path) -> Change:
    try:
        checksum, _, text = path.read_text(encoding="ascii").rstrip("\n").partition(" ")
        if checksum != f"{zlib.crc32(text.encode()):08x}":
            raise ValueError("its checksum does not fit")
        given = json_value(text)
        if given.pop("format") != FORMAT:
            raise ValueError("of another version")
        change = Change(
            what=str(given["what"]),
            replace=tuple(map(_safe, given["replace"])),
            remove=tuple(map(_safe, given["remove"])),
            aside=None if given["aside"] is None else _safe(given["aside"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path}: a change of this run was cut off, and what was to be done cannot be read "
            f"({error}); restore the file from a copy, or move it away and repeat the command"
        ) from error
    return change


def _safe(name: str) -> str:
    """A name that leads nowhere but into the run."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no file of a run")
    return name
