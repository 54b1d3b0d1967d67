"""Whether derived files are those of a state: to the byte, or as an earlier version wrote them.

A later version may say more in a file than the one that wrote it did. Such a file is right as far
as it goes, and nobody lost anything; a start writes it anew all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgetransfer.errors import HeadError
from edgetransfer.heads import LinearHead
from edgetransfer.heads.linear_head import FORMAT
from edgetransfer.runs.run_folder import HEAD
from edgetransfer.untrusted_json import json_value


def stale_names(run: Path, files: Mapping[str, bytes]) -> list[str]:
    """Those of a run that are not these to the byte, and a head that should not be there."""
    names = [name for name, content in files.items() if _content(run / name) != content]
    if HEAD not in files and (run / HEAD).exists():
        names.append(HEAD)
    return names


def earlier_report(path: Path, content: bytes) -> bool:
    """Whether a report is this one without some of its keys."""
    try:
        old, new = json_value(_content(path) or b""), json_value(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(old, dict) and old != new and _within(old, new)


def earlier_head(path: Path, head: LinearHead, metadata: Mapping[str, str]) -> bool:
    """Whether a head's file is of an earlier format, and says the same of every class."""
    try:
        old = LinearHead.load(path)
    except HeadError:
        return False
    return (
        old.metadata["format"] != FORMAT
        and old.metadata.get("backbone") == metadata.get("backbone")
        and old.classes == head.classes
        and old.map.name == head.map.name
        and np.array_equal(old.weights, head.weights)
        and np.array_equal(old.bias, head.bias)
    )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _within(old: Any, new: Any) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() <= new.keys() and all(_within(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return all(map(_within, old, new))
    return type(old) is type(new) and bool(old == new)
