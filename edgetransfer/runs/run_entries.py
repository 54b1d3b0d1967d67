"""A run folder from elsewhere may hold anything: nothing in it may lead out of it, or block."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from edgetransfer.errors import RunFolderError

# Whatever a command opens in a run folder by its name, or finds there and goes into.
NAMES = frozenset(
    [
        *("config.toml", "head.safetensors", "labels.txt", "metrics.jsonl", "curve.svg"),
        *("skipped.jsonl", "report.json", "checkpoint.safetensors", "backbone.onnx"),
        *("data.json", "backbone.toml", "lock", "ids.bin", "acknowledged", "predictions.jsonl"),
        *("predictions.1.jsonl", "pending.json", "in-hand.json", "in-hand.bin", "confirmed.json"),
        *("webhook.json", "steps.json"),
        "report.html",
    ]
)
FOLDERS = frozenset(
    [
        *("journal", "checkpoints", "set-aside", "thumbnails", ".pending"),
        *(".previous", ".returning", ".staged", ".dropped"),
    ]
)


def strange_entry(run: Path) -> str | None:
    """The first entry of a run folder that is a link, or of no kind that a run has; None if fine.

    Entries of names that no command uses are nobody's concern.
    """
    for entry in _entries(run):
        if entry.name in NAMES or (entry.name.startswith(".") and entry.name.endswith(".tmp")):
            problem = _problem(entry, stat.S_ISREG, "file")
        elif entry.name in FOLDERS:
            problem = _problem(entry, stat.S_ISDIR, "folder") or _inside(Path(entry.path))
        else:
            problem = None
        if problem is not None:
            return problem
    return None


def refuse_strange_entries(run: Path) -> None:
    """Raise `RunFolderError` if there is a `strange_entry`."""
    problem = strange_entry(run)
    if problem is not None:
        raise RunFolderError(
            f"{problem}; edgetransfer makes no such thing: remove it, or leave this run alone"
        )


def _inside(folder: Path) -> str | None:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            problem = _inside(Path(entry.path))
        else:
            problem = _problem(entry, stat.S_ISREG, "file")
        if problem is not None:
            return problem
    return None


def _problem(entry: os.DirEntry[str], fits: Callable[[int], bool], kind: str) -> str | None:
    if entry.is_symlink():
        return f"{entry.path}: is a link"
    try:
        return (
            None
            if fits(entry.stat(follow_symlinks=False).st_mode)
            else (f"{entry.path}: is not a plain {kind}")
        )
    except FileNotFoundError:  # a running stream deletes files
        return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
