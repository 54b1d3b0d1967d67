"""Where a run that a page teaches has its thumbnails: who forgets a sample removes its own."""

from __future__ import annotations

from pathlib import Path

FOLDER = "thumbnails"
SUFFIX = ".jpg"


def thumbnail(key: bytes) -> str:
    """Of the sample of a key, by its name within the run: a checksum, whatever its id is."""
    return f"{FOLDER}/{key.hex()}{SUFFIX}"


def all_thumbnails(run: Path) -> list[str]:
    """By their names within the run."""
    return [f"{FOLDER}/{path.name}" for path in sorted((run / FOLDER).glob(f"*{SUFFIX}"))]
