"""A walk through a person's folders: each real folder once, and everything passed over is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgetransfer.errors import DataError
from edgetransfer.names import readable

HIDDEN = "hidden files and folders"
APPLE_DOUBLE = "AppleDouble files (._…) of a Mac"
STORAGE = "thumbnails and bins of storage systems"
PLACEHOLDERS = "placeholders of a cloud drive, whose photos must be downloaded first"
RUNS = "run folders of edgetransfer"
LINKS = "links to folders that are walked already, or that hold this one"
SPECIAL = "pipes, sockets and devices"

_HARMLESS = frozenset(["thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", ".ds_store"])
_STORAGE_NAMES = frozenset(
    [
        *("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot", "#snapshots"),  # Synology
        *("@recycle", "@recently-snapshot", "@__thumb", ".@__thumb", ".@__qini"),  # QNAP
        *("$recycle.bin", "recycler", "recycled", "system volume information"),  # Windows
        *("__macosx", "network trash folder", "temporary items", ".trashes", ".trash"),  # macOS
        *("lost+found", "trashbox", ".recycle", ".thumbnails", ".thumbs", ".sh_thumbnails"),
        *(".picasaoriginals", ".snapshot", ".snapshots", ".zfs", ".wdmc", ".wd_tv", ".dtrash"),
    ]
)
_STORAGE_STARTS = (".trash-", ".synology", "@synology")
_PLACEHOLDER_ENDINGS = (".icloud", ".nextcloud", ".owncloud", ".cloud", ".cloudf")
_RUN_MARKS = {
    "config.toml": (
        *("head.safetensors", "labels.txt", "metrics.jsonl", "report.json", "skipped.jsonl"),
        *("checkpoint.safetensors", "checkpoints", "journal"),
    ),
    "benchmark.json": ("turns",),
}

Unlistable = Callable[[str, OSError], None]
"""Told of a folder, by its path below the root, whose content the system does not show."""


@dataclass(kw_only=True)
class Folder:
    """What lies in a folder, without what was passed over.

    Parameters
    ----------
    path
        Below the root, with slashes; empty for the root.
    files
        Names, sorted.
    folders
        By name, sorted.
    """

    path: str
    files: list[str] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)

    def below(self, name: str) -> str:
        """The path of something in it."""
        return f"{self.path}/{name}" if self.path else name

    def all_files(self) -> Iterator[str]:
        """The paths of all files in it and below, a folder's own first."""
        pending = [self]
        while pending:
            folder = pending.pop()
            yield from map(folder.below, folder.files)
            pending.extend(reversed(folder.folders.values()))


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A folder as it was found.

    Parameters
    ----------
    root
        The folder.
    left_out
        Paths below it of what was passed over, by kind.
    """

    root: Folder
    left_out: dict[str, list[str]]


def walk(root: Path, *, unlistable: Unlistable | None = None) -> Walk:
    """Look through a folder.

    Links to folders are followed once the real folders are through, in the order of their paths,
    to folders that were not seen yet; so a photo belongs to the folder that it really lies in,
    and loops end.

    Parameters
    ----------
    unlistable
        Told of folders that cannot be listed; if None they end the walk.

    Raises
    ------
    DataError
        If a folder cannot be listed.
    """
    walker = _Walker(root, unlistable)
    return Walk(root=walker.walked(), left_out=walker.left_out)


def refuse_unlistable(root: Path) -> Unlistable:
    """An `Unlistable` that ends the walk with a `DataError`."""

    def refuse(path: str, error: OSError) -> None:
        raise DataError(
            f"{readable(str(root / path))}: this folder cannot be listed ({error.strerror}), so "
            "its photos would be missing; make it readable, or move it elsewhere"
        ) from error

    return refuse


class _Walker:
    def __init__(self, root: Path, unlistable: Unlistable | None) -> None:
        self.left_out: dict[str, list[str]] = {}
        self._root = root
        self._unlistable = unlistable or refuse_unlistable(root)
        self._seen: set[tuple[int, int]] = set()
        self._links: list[tuple[Folder, str]] = []

    def walked(self) -> Folder:
        real = os.path.realpath(self._root)
        root = Folder(path="")
        self._visit(root)
        while self._links:
            links = sorted(self._links, key=lambda link: link[0].below(link[1]))
            self._links = []
            for parent, name in links:
                self._follow(parent, name, real)
        return root

    def _follow(self, parent: Folder, name: str, root: str) -> None:
        folder = Folder(path=parent.below(name))
        target = os.path.realpath(self._root / folder.path)
        if root == target or root.startswith(target.rstrip(os.sep) + os.sep):
            self._leave_out(LINKS, folder.path)
        elif self._visit(folder):
            parent.folders[name] = folder
            parent.folders = dict(sorted(parent.folders.items()))

    def _visit(self, top: Folder) -> bool:
        """Fill in a folder and all below; False if it does not count."""
        if not self._fill(top):
            return False
        pending = [top]
        while pending:
            folder = pending.pop()
            folder.folders = {n: f for n, f in folder.folders.items() if self._fill(f)}
            pending.extend(folder.folders.values())
        return True

    def _fill(self, folder: Folder) -> bool:
        """List one folder; False if it does not count."""
        place = self._root / folder.path
        try:
            status = place.stat()
            if (status.st_dev, status.st_ino) in self._seen:
                self._leave_out(LINKS, folder.path)
                return False
            self._seen.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._unlistable(folder.path, error)
            return True
        if folder.path and _is_run({entry.name for entry in found}):
            self._leave_out(RUNS, folder.path)
            return False
        for entry in found:
            self._sort_in(folder, entry)
        return True

    def _sort_in(self, folder: Folder, entry: os.DirEntry[str]) -> None:
        name = entry.name
        if name.lower() in _HARMLESS:
            return
        try:
            is_folder = entry.is_dir()
            special = not is_folder and not entry.is_file() and _is_there(entry)
        except OSError:
            is_folder = special = False  # the reader says what is wrong with it
        kind = SPECIAL if special else passed_over(name, is_folder=is_folder)
        if kind is not None:
            self._leave_out(kind, folder.below(name))
        elif not is_folder:
            folder.files.append(name)
        elif entry.is_symlink():
            self._links.append((folder, name))
        else:
            folder.folders[name] = Folder(path=folder.below(name))

    def _leave_out(self, kind: str, path: str) -> None:
        self.left_out.setdefault(kind, []).append(path)


def passed_over(name: str, *, is_folder: bool) -> str | None:
    """Why a file or folder of this name is no data; None if it is."""
    lower = name.lower()
    if lower in _STORAGE_NAMES or lower.startswith(_STORAGE_STARTS):
        return STORAGE
    if not is_folder and lower.endswith(_PLACEHOLDER_ENDINGS):
        return PLACEHOLDERS
    if name.startswith("._"):
        return APPLE_DOUBLE
    return HIDDEN if name.startswith(".") else None


def _is_there(entry: os.DirEntry[str]) -> bool:
    """Whether an entry leads to anything: a link without a target is a photo that is missing."""
    try:
        entry.stat()
    except FileNotFoundError:
        return False
    return True


def _is_run(names: set[str]) -> bool:
    return any(
        mark in names and not names.isdisjoint(others) for mark, others in _RUN_MARKS.items()
    )
