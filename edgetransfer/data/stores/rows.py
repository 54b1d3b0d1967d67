"""Rows of tables as labelled photos: which column is what, and what a cell of it may hold."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetransfer.data.found import Found, FoundPhoto, Remark
from edgetransfer.data.labels import checked_label
from edgetransfer.data.samples import Stored
from edgetransfer.data.split_names import Split, split_of_word
from edgetransfer.data.stores.shelf import Shelf
from edgetransfer.data.stores.trees import FarPhoto
from edgetransfer.errors import DataError
from edgetransfer.names import is_file_name, readable
from edgetransfer.paths import address_of
from edgetransfer.reprs import short_repr

_NAMES = {
    "image": (
        *("image", "img", "photo", "picture", "jpg", "jpeg", "png", "webp"),
        *("image_bytes", "bytes", "content", "data"),
        *("path", "image_path", "file_path", "filepath", "file", "file_name", "filename"),
        *("url", "image_url", "uri"),
    ),
    "label": ("label", "labels", "class", "class_name", "cls", "target", "category"),
    "id": ("id", "__key__", "key", "image_id", "photo_id"),
    "split": ("split", "subset", "fold"),
}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table hold what.

    Parameters
    ----------
    image, label
        Of the photos, bytes or paths, and of their classes.
    id, split
        None where there is none.
    """

    image: str
    label: str
    id: str | None = None
    split: str | None = None

    __repr__ = short_repr

    @classmethod
    def among(cls, names: Sequence[str], where: str) -> Columns:
        """Those of a table, by their usual names.

        Raises
        ------
        DataError
            If it has no column of photos, or of labels.
        """
        by_lower = {name.lower(): name for name in reversed(names)}
        found = {
            role: next((by_lower[name] for name in usual if name in by_lower), None)
            for role, usual in _NAMES.items()
        }
        for role, what in (("image", "photos (bytes or paths)"), ("label", "labels")):
            if found[role] is None:
                there = ", ".join(map(readable, names)) or "none"
                raise DataError(
                    f"{where}: no column of {what}; there are {there}: call one of them "
                    f"{' or '.join(_NAMES[role][:3])}"
                )
        return cls(
            image=str(found["image"]),
            label=str(found["label"]),
            id=found["id"],
            split=found["split"],
        )

    @property
    def all(self) -> list[str]:
        """Their names."""
        return [name for name in (self.image, self.label, self.id, self.split) if name is not None]


class RowReader:
    """Told rows one after the other, makes photos of them.

    Parameters
    ----------
    where
        What the rows are of, for messages.
    home
        The folder that paths are relative to.
    """

    def __init__(self, where: str, home: Path) -> None:
        self._where = where
        self._home = home
        self._shelf: Shelf | None = None
        self._photos: list[FoundPhoto] = []
        self._seen: dict[str, str] = {}
        self._unlabelled: Counter[str] = Counter()

    def add(
        self,
        row: Mapping[str, Any],
        columns: Columns,
        place: str,
        *,
        names: Sequence[str] | None = None,
        split: Split | None = None,
    ) -> None:
        """Take a row in.

        Parameters
        ----------
        place
            What the row is called in messages, and its id where it has none.
        names
            Of the classes, where labels are their numbers.
        split
            Where no column says so.

        Raises
        ------
        DataError
            If it has no label, or no photo can be of such a kind, or its id was there before.
        """
        own = self._split(row, columns, place) or split
        label = label_of(row[columns.label], names, place)
        if label is None:
            if own not in ("val", "test"):
                raise DataError(f"{place}: it has no label")
            self._unlabelled[own] += 1
            return
        cell = row[columns.image]
        name = self._id(row, columns, cell, place)
        if name in self._seen:
            raise DataError(
                f"{place}: {readable(name)[:200]} is the id of {self._seen[name]} too; "
                "each photo has an id of its own"
            )
        self._seen[name] = place
        self._photos.append(
            FoundPhoto(id=name, source=self._source(cell, place), label=label, split=own)
        )

    def found(self) -> Found:
        """All that was told."""
        if self._shelf is not None:
            self._shelf.finish()
        if not self._photos:
            raise DataError(f"{self._where}: it has no rows")
        remarks: list[Remark] = [
            (logging.WARNING, f"left out {count} photos of the {split} split: they have no label")
            for split, count in sorted(self._unlabelled.items())
        ]
        return Found(
            photos=tuple(self._photos),
            left_out=tuple(
                (f"{split} photos without a label", n) for split, n in self._unlabelled.items()
            ),
            remarks=tuple(remarks),
        )

    def _split(self, row: Mapping[str, Any], columns: Columns, place: str) -> Split | None:
        word = None if columns.split is None else row[columns.split]
        if word is None or (isinstance(word, str) and not word.strip()):
            return None
        split = split_of_word(word) if isinstance(word, str) else None
        if split is None:
            raise DataError(f"{place}: split is train, val or test, not {str(word)[:50]!r}")
        return split

    def _id(self, row: Mapping[str, Any], columns: Columns, cell: Any, place: str) -> str:
        if columns.id is not None and row[columns.id] is not None:
            return str(row[columns.id])
        return cell if isinstance(cell, str) else place

    def _source(self, cell: Any, place: str) -> Path | bytes | Stored:
        source = photo_of(cell, place, self._home)
        if not isinstance(source, bytes) or not source:
            return source
        if self._shelf is None:
            self._shelf = Shelf()
        return self._shelf.add(source)


def label_of(cell: Any, names: Sequence[str] | None, place: str) -> str | None:
    """The class that a cell names, or numbers among ``names``; None if it has none.

    Raises
    ------
    DataError
        If it can be no label.
    """
    if cell is None or (names is not None and cell == -1):  # -1: Hugging Face's unlabelled
        return None
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if names is not None and isinstance(cell, int):
        if not 0 <= cell < len(names):
            raise DataError(f"{place}: its label {cell} is none of {len(names)} classes")
        cell = names[cell]
    if isinstance(cell, bool) or not isinstance(cell, str | int):
        raise DataError(f"{place}: a label is a text or a whole number, not {_kind(cell)}")
    try:
        return checked_label(str(cell))
    except DataError as error:
        raise DataError(f"{place}: {error}") from error


def photo_of(cell: Any, place: str, home: Path) -> Path | bytes | Stored:
    """The photo in a cell: bytes, a path or an address, or a structure of bytes and path.

    Of nothing it is the bytes of nothing, which no decoder takes: so it is named among what cannot
    be used.

    Raises
    ------
    DataError
        If it can be no photo.
    """
    if isinstance(cell, Mapping):
        cell = cell.get("path") if cell.get("bytes") is None else cell["bytes"]
    if isinstance(cell, Stored):
        return cell
    if cell is None:
        return b""
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell)
    if not isinstance(cell, str):
        raise DataError(
            f"{place}: a photo is the bytes of a file, a path, or a structure of bytes and "
            f"path, not {_kind(cell)}"
        )
    if (address := address_of(cell)) is not None:
        return FarPhoto(address=address)
    if not is_file_name(cell):
        raise DataError(f"{place}: no file can be called {readable(cell[:100])!r}")
    return home / cell


def _kind(cell: Any) -> str:
    return type(cell).__name__
