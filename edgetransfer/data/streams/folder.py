"""Samples from a folder that is watched."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from threading import Event
from time import monotonic, time

from edgetransfer.data.finding import ending_of, remarks_on
from edgetransfer.data.labels import checked_label
from edgetransfer.data.layouts import layout_of
from edgetransfer.data.manifests import read_manifest
from edgetransfer.data.split_names import UNLABELLED, named_splits
from edgetransfer.data.streams.arrivals import Arrival, Ledger
from edgetransfer.data.walking import Folder, walk
from edgetransfer.errors import DataError
from edgetransfer.names import readable

logger = logging.getLogger(__name__)

SETTLED = 0.5  # seconds without a change after which a file counts as written
OLD = 2.0  # seconds since its last change that make a file so at first sight
WATCHED, POLLED = 30.0, 1.0  # seconds between looks, with and without word from the system
SIDECARS = ("labels.csv", "labels.tsv", "labels.jsonl")


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What a file looked like, and since when."""

    size: int
    changed: int
    since: float


class FolderSource:
    """The images of a folder, those that are there and those that come.

    The first folder below the root is the class; images in the root itself or in ``unlabelled``
    have none. A file ``labels.csv``, ``.tsv`` or ``.jsonl`` in the root (``path``, ``label``)
    goes before that, and may give images their labels later. Files still being written are
    waited for; one that could not be decoded is tried again when it changes. A photo whose class
    no class can be called (`checked_label`) is refused, and so is a folder that cannot be listed.

    Parameters
    ----------
    root
        The folder.
    suffixes
        The endings of image files, in lower case.
    once
        End when everything there has been seen.

    Raises
    ------
    DataError
        If there is no such folder.
    """

    def __init__(self, root: Path, *, suffixes: frozenset[str], once: bool = False) -> None:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder to watch; make it first")
        self._root = root
        self._suffixes = suffixes
        self._once = once
        self._changing: dict[str, _Look] = {}
        # What was yielded and is not known to the run yet: in hand, or refused.
        self._given: dict[str, tuple[int, int]] = {}
        self._labels: dict[str, str] = {}
        self._sidecar_read: tuple[str, int] | None = None
        self._begun = False
        self._unlistable: set[str] = set()
        self._said: dict[str, list[str]] = {}

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        changed = Event()
        with _watch(self._root, changed) as watched:
            while not stop.is_set():
                changed.clear()
                began = monotonic()
                for arrival in self._look(ledger):
                    yield arrival
                    if stop.is_set():
                        return
                if self._changing:
                    rest = SETTLED / 2
                elif self._once:
                    return
                else:
                    rest = WATCHED if watched else POLLED
                # A large folder is not walked without a pause, however much happens in it.
                least = max(0.05, 4 * (monotonic() - began))
                if not stop.wait(least):
                    _wait(changed, stop, rest)

    def _look(self, ledger: Ledger) -> Iterator[Arrival]:
        """One walk through the folder."""
        self._read_sidecar()
        present = set()
        closed: list[tuple[str, str]] = []
        seen = walk(
            self._root, unlistable=lambda path, error: closed.append((path, str(error.strerror)))
        )
        self._say(seen.left_out)
        if not self._begun:
            self._begun = True
            self._refuse_splits(seen.root)
        yield from self._refuse(closed)
        for sample_id in seen.root.all_files():
            if ending_of(sample_id) not in self._suffixes:
                continue
            path = self._root / sample_id
            label, problem = self._label(sample_id)
            if ledger.known(sample_id):
                self._given.pop(sample_id, None)
                self._changing.pop(sample_id, None)
                if label is not None and ledger.open_for_label(sample_id):
                    yield Arrival(id=sample_id, label=label)
                continue
            present.add(sample_id)
            try:
                status = path.stat()
            except OSError:
                continue  # gone again
            look = (status.st_size, status.st_mtime_ns)
            if self._given.get(sample_id) != look and self._settled(sample_id, status):
                self._given[sample_id] = look
                if problem is not None:
                    yield Arrival(id=sample_id, problem=problem)
                else:
                    yield Arrival(id=sample_id, source=path, label=label)
        for mapping in (self._changing, self._given):
            for gone in set(mapping) - present:
                del mapping[gone]

    def _settled(self, sample_id: str, status: os.stat_result) -> bool:
        now = monotonic()
        before = self._changing.get(sample_id)
        same = before is not None and (before.size, before.changed) == (
            status.st_size,
            status.st_mtime_ns,
        )
        since = before.since if before is not None and same else now
        old = before is None and time() - status.st_mtime > OLD
        if status.st_size > 0 and (old or now - since >= SETTLED):
            self._changing.pop(sample_id, None)
            return True
        self._changing[sample_id] = _Look(
            size=status.st_size, changed=status.st_mtime_ns, since=since
        )
        # An empty file that stays so is not waited for.
        if status.st_size == 0 and (now - since >= SETTLED or time() - status.st_mtime > OLD):
            del self._changing[sample_id]
        return False

    def _refuse_splits(self, root: Folder) -> None:
        """Splits are no classes: what is there to be tested on must not be learned."""
        splits = named_splits(root.folders)
        try:
            layout = layout_of(root, lambda file: ending_of(file) in self._suffixes)
            if any(part.split is not None for part in layout.parts):
                raise DataError("it holds splits")
        except DataError as error:
            seen = f" ({readable(', '.join(splits))})" if splits else ""
            raise DataError(
                f"{readable(str(self._root))}: {error}{seen}; a stream learns all that it "
                "watches, so give it the folder of one split"
            ) from error

    def _refuse(self, closed: list[tuple[str, str]]) -> Iterator[Arrival]:
        """Each folder that cannot be listed once, for as long as it cannot."""
        for path, reason in closed:
            if path not in self._unlistable:
                problem = f"the folder cannot be listed ({reason}); make it readable"
                yield Arrival(id=path or ".", problem=problem)
        self._unlistable = {path for path, _ in closed}

    def _say(self, left_out: dict[str, list[str]]) -> None:
        """Log what is passed over, when there is more of it than before."""
        news = {
            k: paths for k, paths in left_out.items() if set(paths) - set(self._said.get(k, ()))
        }
        for level, text in remarks_on(news):
            logger.log(level, "%s: %s", readable(str(self._root)), text)
        self._said = left_out

    def _label(self, sample_id: str) -> tuple[str | None, str | None]:
        """The label of a sample, if it has one, and what is wrong with it, if anything."""
        label = self._labels.get(_composed(sample_id))
        if label is not None:
            return label, None
        first, slash, _ = sample_id.partition("/")
        if not slash or first.lower() in UNLABELLED:
            return None, None
        try:
            return checked_label(first), None
        except DataError as error:
            return None, f"{error}; rename the folder"

    def _read_sidecar(self) -> None:
        for name in SIDECARS:
            path = self._root / name
            try:
                state = (name, path.stat().st_mtime_ns)
            except OSError:
                continue
            if state != self._sidecar_read:
                try:
                    rows = read_manifest(path).rows
                    self._labels = {_composed(normpath(row.path)): row.label for row in rows}
                    self._sidecar_read = state
                except DataError as error:  # perhaps half written: what was known stays
                    logger.warning("%s", error)
                    self._sidecar_read = state
            return


@contextmanager
def _watch(root: Path, changed: Event) -> Iterator[bool]:
    """Have the system tell of changes below a folder; yields whether it does."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type not in ("opened", "closed_no_write"):
                changed.set()

    observer = Observer()
    try:
        observer.schedule(Handler(), str(root), recursive=True)
        observer.start()
    except OSError as error:  # no inotify, or no watches left
        logger.warning("%s: cannot be watched (%s); looked at every second", root, error)
        yield False
        return
    try:
        yield True
    finally:
        observer.stop()
        observer.join()


def _composed(path: str) -> str:
    """A path in NFC: a manifest and a file system may write one name in two ways."""
    return unicodedata.normalize("NFC", path)


def _wait(changed: Event, stop: Event, seconds: float) -> None:
    """Until something changed, the time is over, or the stream stops."""
    end = monotonic() + seconds
    while not stop.is_set() and monotonic() < end and not changed.wait(0.2):
        pass
