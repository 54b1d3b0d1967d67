"""A data set that Hugging Face's ``datasets`` streams, row after row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

from edgetransfer.data.stores import StreamedPart, label_of, learned_rows, photo_of
from edgetransfer.data.streams.arrivals import LONGEST_ID, Arrival, Ledger
from edgetransfer.errors import DataError
from edgetransfer.paths import STREAMED


class HuggingFaceSource:
    """Rows of the training split in their order, each as it is asked for; memory is that of a few.

    An id is the row's own (``id``, ``__key__``), else its split and number. Started anew, rows are
    read from the beginning, and those that are known passed over.

    Parameters
    ----------
    name
        What stands behind ``datasets:``.

    Raises
    ------
    EdgeTransferError
        If there is no such data set, or it has no photos or labels.
    """

    def __init__(self, name: str) -> None:
        self._address = STREAMED + name
        self._rows = learned_rows(self._address)

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        for part, place, row in self._rows:
            if stop.is_set():
                return
            name = _id(part, place, row)
            if not ledger.known(name):
                yield _arrival(part, name, row)
        self._rows = learned_rows(self._address)


def _id(part: StreamedPart, place: str, row: Mapping[str, Any]) -> str:
    own = None if part.columns.id is None else row[part.columns.id]
    return (place if own is None else str(own))[:LONGEST_ID]


def _arrival(part: StreamedPart, name: str, row: Mapping[str, Any]) -> Arrival:
    try:
        return Arrival(
            id=name,
            source=photo_of(row[part.columns.image], name, Path()),
            label=label_of(row[part.columns.label], part.names, name),
        )
    except DataError as error:
        return Arrival(id=name, problem=str(error))
