"""A folder of tables as `extract` makes it, opened: whole, of one making, and no photo twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetransfer.errors import DataError
from edgetransfer.features.table_index import Index
from edgetransfer.features.tables import ENDING, TableFile, TableRows, check_arrow
from edgetransfer.reprs import short_repr
from edgetransfer.settings.extract import INDEX
from edgetransfer.types import Progress, no_progress

AT_ONCE = 1 << 25  # ids that are compared with each other at a time: 256 MB of hashes
NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """Where a row is.

    Parameters
    ----------
    table
        The number of its table.
    place
        In the table, from 0.
    """

    table: int
    place: int


@dataclass(frozen=True, kw_only=True)
class FeatureTables:
    """All tables of a folder.

    Parameters
    ----------
    folder
        Where they are.
    index
        What they have in common.
    files
        The tables, in order.
    """

    folder: Path
    index: Index
    files: tuple[TableFile, ...]

    __repr__ = short_repr

    def __len__(self) -> int:
        return sum(map(len, self.files))

    def check_ids(self, progress: Progress = no_progress) -> None:
        """Refuse tables that have a photo twice; memory is bounded.

        Raises
        ------
        DataError
            Naming the photo and its tables.
        """
        passes = max(1, -(-len(self) // AT_ONCE))
        for share in range(passes):
            parts = []
            for number, file in enumerate(self.files):
                keys = keys_of(file)
                parts.append(keys[keys % passes == share])
                progress("ids", share * len(self.files) + number + 1, passes * len(self.files))
            keys = np.sort(np.concatenate(parts))
            twice = keys[1:][keys[1:] == keys[:-1]]
            if len(twice):
                self._refuse(set(twice.tolist()))

    def _refuse(self, keys: set[int]) -> None:
        """Name what is there twice, if it is the ids and not their hashes alone."""
        seen: dict[str, Path] = {}
        for file in self.files:
            found = keys_of(file)
            for name in np.array(file.columns("id")["id"], object)[np.isin(found, list(keys))]:
                if name in seen:
                    raise DataError(
                        f"{self.folder}: the photo {name} is in {seen[name].name} and in "
                        f"{file.path.name}: extract into an empty folder"
                    )
                seen[name] = file.path

    def taken(self, rows: list[Row]) -> Iterator[TableRows]:
        """Some rows, a group of a table at a time, in the order of the tables."""
        by_table: dict[int, list[int]] = {}
        for row in rows:
            by_table.setdefault(row.table, []).append(row.place)
        for table, places in sorted(by_table.items()):
            wanted = np.sort(np.array(places))
            for first, number in self.files[table].first_rows():
                size = self.files[table].group_size(number)
                own = wanted[(wanted >= first) & (wanted < first + size)] - first
                if len(own):
                    yield self.files[table].group(number).only(own)


def keys_of(file: TableFile) -> NDArray[np.uint64]:
    """(n,) hashes of the ids of a table: who is among the least ones is a uniform sample."""
    ids = file.columns("id")["id"]
    hashes = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(b"".join(hashes), np.uint64)


def is_table_folder(path: Path) -> bool:
    """Whether `extract` made this folder."""
    return (path / INDEX).is_file()


def open_tables(folder: Path) -> FeatureTables:
    """Open a folder of tables.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    DataError
        If tables are missing or damaged, or were made by different things.
    """
    check_arrow()
    index = Index.read(folder)
    if index is None:
        raise DataError(f"{folder}: not a folder of features; `edgetransfer extract` makes one")
    paths = [folder / f"{name}{ENDING}" for name in index.names()]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        some = ", ".join(missing[:NAMED]) + (" …" if len(missing) > NAMED else "")
        raise DataError(
            f"{folder}: {len(missing)} of {len(paths)} tables are missing ({some}); the same "
            "`edgetransfer extract` again makes those alone"
        )
    files = tuple(map(TableFile, paths))
    for file in files:
        difference = index.origin.difference(file.origin)
        if difference is not None:
            raise DataError(f"{file.path}: it does not go with the others: {difference}")
    tables = FeatureTables(folder=folder, index=index, files=files)
    if len(tables) != index.photos:
        raise DataError(
            f"{folder}: {len(tables)} rows where {index.photos} photos were; extract them anew"
        )
    return tables
