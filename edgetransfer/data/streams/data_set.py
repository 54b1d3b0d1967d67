"""The training photos of a data set, one after the other, whatever it is kept in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

from edgetransfer.data.finding import found_at
from edgetransfer.data.streams.arrivals import LONGEST_ID, Arrival, Ledger
from edgetransfer.errors import DataError


class DataSetSource:
    """Photos of what `load_data` takes, in its order; those of val and test splits stay unseen.

    Parameters
    ----------
    path
        A folder, manifest, archive, table, query, or the address of one.
    suffixes
        The endings of image files, in lower case.

    Raises
    ------
    EdgeTransferError
        If it cannot be read, or has no photos to learn.
    """

    def __init__(self, path: Path, *, suffixes: frozenset[str]) -> None:
        self._photos = found_at(path, suffixes).of("train")
        if not self._photos:
            raise DataError(f"{path}: no training images found")

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        for photo in self._photos:
            if stop.is_set():
                return
            name = photo.id[:LONGEST_ID]
            if not ledger.known(name):
                yield Arrival(id=name, source=photo.source, label=photo.label)
