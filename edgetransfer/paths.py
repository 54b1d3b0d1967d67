"""Where this user's own files are."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_folder() -> Path:
    """The user's own cache folder; ``EDGETRANSFER_CACHE`` names another."""
    import platformdirs

    named = os.environ.get("EDGETRANSFER_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("edgetransfer"))
