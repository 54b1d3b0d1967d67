"""Exact statistics of one table of features, beside it: what heads are solved from.

They are of the training rows, mapped as the stream's learner maps them, and sums of whole numbers:
those of all tables together are the same bytes however the rows were parted.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import DataError, EdgeTransferError
from edgetransfer.features.tables import ENDING, Origin, TableFile, TableRows
from edgetransfer.heads import FeatureMap, Statistics
from edgetransfer.sealing import BrokenSealError, has_seal, sealed
from edgetransfer.settings.train import MapName
from edgetransfer.untrusted_json import json_value

FORMAT = "edgetransfer-table-statistics-1"
MAP: MapName = "power-l2"


def statistics_beside(table: Path) -> Path:
    """The file of the statistics of a table."""
    return table.with_name(f"{table.name.removesuffix(ENDING)}.statistics.safetensors")


def add_rows(statistics: Statistics, rows: TableRows, index: dict[str, int]) -> None:
    """Learn the training rows of a table; ``index`` numbers the classes.

    Raises
    ------
    DataError
        If a label is none of the classes.
    """
    places = np.array(rows.labelled("train"), np.int64)
    try:
        labels = np.array([index[rows.labels[place]] for place in places.tolist()], np.int64)
    except KeyError as error:
        raise DataError(
            f"a class {error.args[0]!r} that is not among those of the tables"
        ) from None
    mapped = FeatureMap.made(MAP, rows.features.shape[1])(rows.features[places])
    statistics.update(mapped, labels)


def save_statistics(
    path: Path, statistics: Statistics, classes: tuple[str, ...], origin: Origin
) -> None:
    """Write the statistics of a table; equal ones make equal bytes.

    Raises
    ------
    EdgeTransferError
        If it cannot be written.
    """
    metadata = {"format": FORMAT, "origin": origin.text(), "classes": json.dumps(classes)}
    try:
        write_atomically(path, sealed(statistics.arrays(), metadata))
    except OSError as error:
        raise EdgeTransferError(f"{path}: cannot be written: {error.strerror or error}") from error


def statistics_of(table: TableFile, classes: tuple[str, ...]) -> Statistics:
    """The statistics beside a table, or of its rows where they are missing or damaged."""
    return _saved(table, classes) or computed(table, classes)


def computed(table: TableFile, classes: tuple[str, ...]) -> Statistics:
    """The statistics of a table's rows."""
    statistics = Statistics(table.origin.dimension, len(classes))
    index = {name: i for i, name in enumerate(classes)}
    for rows in table.rows():
        try:
            add_rows(statistics, rows, index)
        except DataError as error:
            raise DataError(f"{table.path}: {error}") from error
    return statistics


def _saved(table: TableFile, classes: tuple[str, ...]) -> Statistics | None:
    """What is beside a table; None if it is not there, damaged, or of something else."""
    from safetensors import SafetensorError, safe_open

    path = statistics_beside(table.path)
    try:
        has_seal(path)
        with safe_open(str(path), framework="numpy") as file:
            said = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if said.get("format") != FORMAT or said.get("origin") != table.origin.text():
            return None
        own = json_value(said.get("classes", "null"))
        statistics = Statistics.of_arrays(arrays)
    except (BrokenSealError, SafetensorError, OSError, ValueError, KeyError, IndexError, DataError):
        return None
    fits = isinstance(own, list) and len(own) == statistics.n_classes and set(own) <= set(classes)
    return _renumbered(statistics, own, classes) if fits else None


def _renumbered(statistics: Statistics, own: list[str], classes: tuple[str, ...]) -> Statistics:
    """The same statistics with its classes in the places that they have among others."""
    if tuple(own) == classes:
        return statistics
    place = {name: i for i, name in enumerate(own)}
    missing = [name for name in classes if name not in place]
    place |= {name: len(own) + i for i, name in enumerate(missing)}
    statistics.grow(len(classes))
    statistics.dropped(np.array([place[name] for name in classes], np.int64))
    return statistics
