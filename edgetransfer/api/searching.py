"""Photos that are most like others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edgetransfer.api.calling import settings_by_name, taken
from edgetransfer.api.reports import Report
from edgetransfer.errors import UsageError
from edgetransfer.settings.search import SearchSettings

if TYPE_CHECKING:
    from edgetransfer.features.given import Photo
    from edgetransfer.types import Progress


@settings_by_name(SearchSettings)
def search_photos(
    settings: SearchSettings | None = None,
    *,
    photos: Photo | Iterable[Photo] = (),
    progress: Progress | None = None,
    **given: Any,
) -> Report:
    """Find the photos of a data set that are most like given ones, as the command ``search``.

    Parameters
    ----------
    settings
        What to search; or the settings below by name.
    photos
        A path, the bytes of a file, a picture of Pillow's or an array (H, W, 3) uint8; or several.
    progress
        Told (what is being done, how much is done, of how much).

    Raises
    ------
    EdgeTransferError
        If there is nothing to search, or the backbone, the engine or a photo cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> found = edgetransfer.search_photos(source="run", photos="photos/train/red/000.png", top=2)
    >>> near = found["queries"][0]["nearest"][0]
    >>> near["id"], round(near["similarity"], 3)
    ('train/red/000.png', 1.0)
    """
    from edgetransfer.api.progress import told
    from edgetransfer.features.given import is_one_photo, samples_of
    from edgetransfer.jobs.searching import search

    asked = taken(SearchSettings, settings, given)
    several: Any = [photos] if is_one_photo(photos) else photos
    samples = samples_of(several)
    if not samples:
        raise UsageError("photos= names the photo, or several, that others are to be like")
    return Report(search(asked, samples, progress=told(progress)))
