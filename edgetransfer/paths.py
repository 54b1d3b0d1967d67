"""Where files are: this user's own, and those that settings name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def default_cache_folder() -> Path:
    """The user's own cache folder; ``EDGETRANSFER_CACHE`` names another."""
    import platformdirs

    named = os.environ.get("EDGETRANSFER_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("edgetransfer"))


def take_strings(settings: Any, *names: str) -> None:
    """Make `Path` of the fields of frozen settings that were given as strings."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, str):
            object.__setattr__(settings, name, Path(value))
