"""Small pictures of photos, each in the page once, however often it is shown.

A picture stands in the page as an SVG image with an id, and is shown by reference.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from edgetransfer.data import Sample
from edgetransfer.errors import ImageError
from edgetransfer.images import open_upright
from edgetransfer.pages.html import plain
from edgetransfer.types import Progress, no_progress

SIDE = 96  # pixels
MOST = 1200  # pictures in a page
MOST_BYTES = 3072  # of one: with all of them a page stays below 6.5 MB
QUALITIES = (75, 50, 25, 5)


class Album:
    """The pictures of a page.

    Parameters
    ----------
    samples
        All photos; pictures are named by their place.
    wanted
        Places, the most wanted first; of more than `MOST` the rest goes without.
    threads
        That decode; they change no picture.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        wanted: Iterable[int],
        *,
        threads: int = 1,
        progress: Progress = no_progress,
    ) -> None:
        places = sorted(list(dict.fromkeys(wanted))[:MOST])
        self._pictures: dict[int, bytes] = {}
        with ThreadPoolExecutor(threads) as pool:
            made = pool.map(lambda place: _small(samples[place]), places)
            for done, (place, picture) in enumerate(zip(places, made, strict=True)):
                progress("report", done + 1, len(places))
                if picture is not None:
                    self._pictures[place] = picture

    def __contains__(self, place: int) -> bool:
        return place in self._pictures

    def shown(self, place: int, name: str) -> str:
        """The picture of a photo, or an empty frame."""
        label = plain(name)
        if place not in self._pictures:
            return f'<svg class="photo none" role="img" aria-label="{label}, not shown"></svg>'
        return (
            f'<svg class="photo" role="img" aria-label="{label}" viewBox="0 0 {SIDE} {SIDE}">'
            f'<use href="#p{place}"/></svg>'
        )

    @property
    def definitions(self) -> str:
        """What the page must hold for its pictures to be seen."""
        images = "".join(
            f'<image id="p{place}" width="{SIDE}" height="{SIDE}" '
            f'href="data:image/jpeg;base64,{base64.b64encode(data).decode()}"/>'
            for place, data in self._pictures.items()
        )
        return f'<svg class="album" aria-hidden="true"><defs>{images}</defs></svg>'


def _small(sample: Sample) -> bytes | None:
    """A photo as a JPEG of `SIDE` pixels at most; None if it is not there any more."""
    try:
        picture = open_upright(sample.content, lambda w, h: max(w, h) / (2 * SIDE))
    except (ImageError, OSError):
        return None
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    for quality in QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= MOST_BYTES:
            return file.getvalue()
    return None
