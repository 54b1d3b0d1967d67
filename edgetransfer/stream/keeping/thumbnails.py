"""What a page that teaches a run keeps in it beside the stream's own: thumbnails, steps to undo.

Who forgets a sample removes its thumbnail; who changes history, the steps that led there.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = "thumbnails"
SUFFIX = ".jpg"
STEPS = "steps.json"


def thumbnail(key: bytes) -> str:
    """Of the sample of a key, by its name within the run: a checksum, whatever its id is."""
    return f"{FOLDER}/{key.hex()}{SUFFIX}"


def all_thumbnails(run: Path) -> list[str]:
    """By their names within the run."""
    return [f"{FOLDER}/{path.name}" for path in sorted((run / FOLDER).glob(f"*{SUFFIX}"))]
