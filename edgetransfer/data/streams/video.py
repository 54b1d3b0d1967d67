"""Samples from a video file or a camera."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import time

from edgetransfer.data.labels import checked_label
from edgetransfer.data.streams.arrivals import Arrival, Ledger
from edgetransfer.errors import DataError, UsageError


class VideoSource:
    """Frames of a video, all with one label or none.

    The id of a frame is ``file@number``, of a camera ``device@time-number`` with the time that
    it was opened.

    Parameters
    ----------
    path
        A video file, or a camera's device.
    label
        Of every frame; None if it is not known.
    every
        Take each how manieth frame.

    Raises
    ------
    UsageError
        If PyAV is not installed.
    DataError
        If no class can be called so.
    """

    def __init__(self, path: Path, *, label: str | None, every: int = 1) -> None:
        try:
            import av
        except ImportError:
            raise UsageError("video sources need PyAV: pip install 'edgetransfer[video]'") from None
        self._av = av
        self._path = path
        self._label = None if label is None else checked_label(label)
        self._every = every

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        try:
            with self._av.open(str(self._path)) as container:
                opened = f"{time():.0f}-" if self._path.is_char_device() else ""
                for number, frame in enumerate(container.decode(video=0)):
                    if stop.is_set():
                        return
                    if number % self._every:
                        continue
                    sample_id = f"{self._path.name}@{opened}{number}"
                    if not ledger.known(sample_id):
                        yield Arrival(
                            id=sample_id, source=_bitmap(frame.to_image()), label=self._label
                        )
        except (self._av.error.FFmpegError, OSError, IndexError) as error:
            raise DataError(f"{self._path}: cannot be read as a video: {error}") from error


def _bitmap(image: object) -> bytes:
    """A picture as an uncompressed file: the same bytes for the same frame, and no loss."""
    from PIL.Image import Image

    assert isinstance(image, Image)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "BMP")
    return buffer.getvalue()
