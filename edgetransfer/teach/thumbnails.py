"""Small pictures of the photos, for the page: all that is kept of how a photo looks.

They lie in the run folder, one file a photo, by the checksum of its id, and go when it is
forgotten. The photos themselves are kept nowhere.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from edgetransfer.atomic import write_atomically
from edgetransfer.images import open_upright
from edgetransfer.stream.thumbnail_names import FOLDER, file_name

SIDE = 224  # pixels of the longer side
QUALITY = 80


class Thumbnails:
    """The thumbnails of one run."""

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER
        self._folder.mkdir(exist_ok=True)

    def keep(self, photo_id: str, data: bytes) -> None:
        """Make one of a photo that could be decoded before.

        Raises
        ------
        EdgeTransferError
            If it cannot be any more.
        OSError
            If it cannot be written.
        """
        picture = open_upright(data, lambda width, height: max(1.0, max(width, height) / SIDE))
        picture.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY, exif=b"")
        self.put(photo_id, file.getvalue())

    def put(self, photo_id: str, picture: bytes) -> None:
        """Keep one that was made before."""
        write_atomically(self._folder / file_name(photo_id), picture)

    def get(self, photo_id: str) -> bytes | None:
        """The JPEG of a photo; None if there is none."""
        try:
            return (self._folder / file_name(photo_id)).read_bytes()
        except OSError:
            return None

    def forget(self, ids: Iterable[str]) -> None:
        """Remove those of some photos."""
        for photo_id in ids:
            (self._folder / file_name(photo_id)).unlink(missing_ok=True)

    def keep_only(self, ids: Iterable[str]) -> None:
        """Remove those of photos that are not in the run any more, and what is half written."""
        names = {file_name(photo_id) for photo_id in ids}
        for path in self._folder.iterdir():
            if path.name not in names and path.is_file() and not path.is_symlink():
                path.unlink()
