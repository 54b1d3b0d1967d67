"""Paths in a run's config.toml: relative to the run's folder where they can be.

So a run that is moved together with its photos and backbone still finds them, and one that is
moved alone still finds them where they are: ``made_in`` says where the run was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgetransfer.runs.previous import DROPPED, PREVIOUS, RETURNING, STAGED

PATHS = ("backbone", "data", "test_data", "out")
MADE_IN = "made_in"
ASIDE = (PREVIOUS, RETURNING, STAGED, DROPPED)


def relative_paths(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A configuration as it is written: its absolute paths seen from the run's folder.

    A path that shares no folder but the root with the run stays as it is; so does what is no
    absolute path, such as a backbone's name.
    """
    here = folder.resolve()
    written = dict(config)
    for name in PATHS:
        value = config.get(name)
        if isinstance(value, str) and Path(value).is_absolute() and _near(Path(value), here):
            relative = os.path.relpath(value, here).replace(os.sep, "/")
            written[name] = relative if _is_relative(relative) else f"./{relative}"
    if any(written.get(name) != config.get(name) for name in PATHS):
        written[MADE_IN] = str(here)
    return written


def absolute_paths(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A configuration as it was before `relative_paths`, seen from where the run is now.

    A run that is kept aside in its own folder, while a new one trains, is seen from that folder.
    """
    here = folder.resolve()
    here = here.parent if here.name in ASIDE else here
    found = dict(config)
    made_in = found.pop(MADE_IN, None)
    for name in PATHS:
        value = found.get(name)
        if isinstance(value, str) and _is_relative(value):
            now = _joined(here, value)
            before = _joined(Path(made_in), value) if isinstance(made_in, str) else now
            is_here = name == "out" or now.exists() or not before.exists()
            found[name] = str(now if is_here else before)
    return found


def _is_relative(path: str) -> bool:
    """Whether a path is written so that it cannot be a name: from here, or from above."""
    return path in (".", "..") or path.startswith(("./", "../"))


def _joined(folder: Path, relative: str) -> Path:
    return Path(os.path.normpath(folder / relative))


def _near(path: Path, folder: Path) -> bool:
    try:
        return os.path.commonpath((path, folder)) != path.anchor
    except ValueError:  # other drives
        return False
