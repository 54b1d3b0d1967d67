"""Tables of features as a source: what `extract` made elsewhere, learned a row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np

from edgetransfer.data import checked_label
from edgetransfer.data.streams import Arrival, Ledger
from edgetransfer.data.streams.arrivals import LONGEST_ID
from edgetransfer.errors import DataError
from edgetransfer.features.table_folder import FeatureTables, open_tables
from edgetransfer.features.tables import TableFile, TableRows


class TableSource:
    """The training rows of a folder of tables, in their order; no photo is read.

    Those of val and test splits stay unseen, as those of a data set of photos do. In memory is one
    group of rows.

    Parameters
    ----------
    folder
        What `extract` made.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    DataError
        If tables are missing or damaged, do not go with each other, have a photo twice, or have
        none to learn.
    """

    def __init__(self, folder: Path) -> None:
        self._tables: FeatureTables = open_tables(folder)
        self._tables.check_ids()
        if not any("train" in file.columns("split")["split"] for file in self._tables.files):
            raise DataError(f"{folder}: no training rows found")

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        for file in self._tables.files:
            for number, new in _new_groups(file, ledger):
                if stop.is_set():
                    return
                rows = file.group(number)
                for place in new:
                    yield _arrival(rows, place)


def _new_groups(file: TableFile, ledger: Ledger) -> Iterator[tuple[int, list[int]]]:
    """The groups that have rows to learn, and where these are: the others are not read."""
    columns = file.columns("id", "split")
    for first, number in file.first_rows():
        last = first + file.group_size(number)
        new = [
            place - first
            for place in range(first, last)
            if columns["split"][place] == "train" and not ledger.known(_id(columns["id"][place]))
        ]
        if new:
            yield number, new


def _id(name: str) -> str:
    return name[:LONGEST_ID]


def _arrival(rows: TableRows, place: int) -> Arrival:
    name = _id(rows.ids[place])
    problem = rows.problems.get(place)
    if problem is not None:
        return Arrival(id=name, problem=problem)
    try:
        label = checked_label(rows.labels[place]) if rows.labels[place] else None
    except DataError as error:
        return Arrival(id=name, problem=str(error))
    features = rows.features[place : place + 1]
    if not np.isfinite(features).all():
        return Arrival(id=name, problem="its features are not finite")
    return Arrival(id=name, features=np.array(features), label=label)
