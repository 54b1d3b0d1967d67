"""Where this user's own files are, and paths that are addresses."""

from __future__ import annotations

import os
import re
from pathlib import Path


def default_cache_folder() -> Path:
    """The user's own cache folder; ``EDGETRANSFER_CACHE`` names another."""
    import platformdirs

    named = os.environ.get("EDGETRANSFER_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("edgetransfer"))


STREAMED = "datasets:"
"""What stands before the name of a data set that Hugging Face's datasets streams."""

_ADDRESS = re.compile(r"((?:[a-z0-9]+::)*[a-z][a-z0-9+.-]+):/+(?=[^/])")  # one letter is a drive


def address_of(path: Path | str) -> str | None:
    """The address that is meant, such as ``s3://bucket/photos``; None if it is a file's path.

    ``datasets:NAME`` is one too.

    A `Path` makes one slash of two, so that two in a row further behind are lost.
    """
    text = str(path)
    if text.startswith(STREAMED):
        return text
    found = _ADDRESS.match(text)
    if found is None:
        return None
    slashes = ":///" if found[1].endswith("file") else "://"
    return f"{found[1]}{slashes}{text[found.end() :]}"


def without_query(path: Path) -> Path:
    """A path as it is; of a web address what stands before its query, which may be a token."""
    address = address_of(path)
    if address is None or not address.startswith("http"):
        return path
    return Path(address.partition("?")[0])
