"""The run that a new one is to replace: kept beside it until that one is finished.

    .previous      the old run, whole, while the new one trains
    .returning     the old run, whole, on its way out or back: it is the one that counts
    .staged, .dropped   what a killed process left; of no worth

Each step that matters is one rename of a folder, so a kill between any two leaves a folder of
which it is clear what is to be done with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from edgetransfer.atomic import remove_folder, remove_leftovers, sync_folder, write_atomically

PREVIOUS, RETURNING, STAGED, DROPPED = ".previous", ".returning", ".staged", ".dropped"


def put_aside(run: Path, names: Iterable[str]) -> None:
    """Make room for a new run, and keep what is there; what an earlier call kept stays instead.

    Parameters
    ----------
    names
        Files of a run, in the order in which they are taken away.
    """
    remove_leftovers(run)
    order = list(names)
    present = [name for name in order if (run / name).exists()]
    if present and not (run / PREVIOUS).exists():
        staged = run / STAGED
        staged.mkdir()
        for name in present:
            _copy(run / name, staged / name)
        sync_folder(staged)
        os.replace(staged, run / RETURNING)
        sync_folder(run)
    for name in order:
        (run / name).unlink(missing_ok=True)
    if (run / RETURNING).exists():
        os.replace(run / RETURNING, run / PREVIOUS)


def give_back(run: Path, names: Iterable[str]) -> None:
    """Bring the old run back in the place of what a new one has left."""
    if (run / PREVIOUS).exists():
        os.replace(run / PREVIOUS, run / RETURNING)
    _return(run, names)


def drop(run: Path) -> None:
    """Delete the old run: the new one is finished."""
    remove_leftovers(run)
    if (run / PREVIOUS).exists():
        os.replace(run / PREVIOUS, run / DROPPED)
    remove_folder(run / DROPPED)


def settle(run: Path, names: Iterable[str]) -> None:
    """Do to its end what a killed process began."""
    for left in (STAGED, DROPPED):
        remove_folder(run / left)
    _return(run, names)


def is_kept(run: Path) -> bool:
    """Whether there is an old run beside the one in the folder."""
    return (run / PREVIOUS).is_dir() or (run / RETURNING).is_dir()


def whole_run(run: Path, *, config: str, report: str) -> Path:
    """Where the run that counts is: the folder itself, or the old one until the new is finished.

    Parameters
    ----------
    config, report
        Files that each run has: from its beginning, and from its end.
    """
    for kept in (run / RETURNING, run / PREVIOUS):
        finished = kept.name == PREVIOUS and (run / report).exists()
        if (kept / config).is_file() and not finished:
            return kept
    return run


def _return(run: Path, names: Iterable[str]) -> None:
    returning = run / RETURNING
    if not returning.is_dir():
        return
    for name in names:
        if (returning / name).exists():
            _copy(returning / name, run / name)
        else:
            (run / name).unlink(missing_ok=True)
    sync_folder(run)
    os.replace(returning, run / DROPPED)
    remove_folder(run / DROPPED)


def _copy(source: Path, target: Path) -> None:
    """A second name of a file, or where the file system has no links, a second file."""
    link = target.with_name(f".{target.name}.00000000.tmp")
    link.unlink(missing_ok=True)
    try:
        os.link(source, link)
    except OSError:
        write_atomically(target, source.read_bytes())
        return
    os.replace(link, target)
    link.unlink(missing_ok=True)  # both names were of one file: nothing was renamed
