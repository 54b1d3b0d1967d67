"""Where a run that a page teaches has its thumbnails: who forgets a photo removes its own."""

from __future__ import annotations

from edgetransfer.stream.learning.ids import id_key

FOLDER = "thumbnails"


def file_name(sample_id: str) -> str:
    """Of the thumbnail of a sample: a checksum, whatever its id is."""
    return f"{id_key(sample_id).hex()}.jpg"
