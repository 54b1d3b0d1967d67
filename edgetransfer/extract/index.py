"""``extract.json``: what the tables of a folder have in common, and how many there are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import DataError, TakenError
from edgetransfer.features.tables import Origin
from edgetransfer.reprs import short_repr

NAME = "extract.json"
FORMAT = "edgetransfer-extract-1"


@dataclass(frozen=True, kw_only=True)
class Index:
    """What is extracted from what.

    Parameters
    ----------
    origin
        What the features are made by.
    classes
        Class names, sorted.
    photos
        How many there are in all tables.
    rows
        Photos a table.
    fingerprint
        Of the data set.
    """

    origin: Origin
    classes: tuple[str, ...]
    photos: int
    rows: int
    fingerprint: str

    __repr__ = short_repr

    def text(self) -> str:
        """As JSON; the same for the same extraction."""
        values = {"format": FORMAT, **asdict(self), "origin": json.loads(self.origin.text())}
        return json.dumps(values, indent=1, sort_keys=True) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Index | None:
        """The one of a folder; None if there is none.

        Raises
        ------
        DataError
            If it is damaged.
        """
        path = folder / NAME
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") != FORMAT:
                raise ValueError("another version's")
            origin = Origin.of_text(json.dumps(values.pop("origin")))
            return cls(origin=origin, classes=tuple(values.pop("classes")), **values)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: damaged, or of another version: {error}") from error

    def begin(self, folder: Path, *, overwrite: bool) -> None:
        """Take a folder for these tables, or go on in one that has some of them.

        Raises
        ------
        TakenError
            If it holds something else.
        """
        there = self.read(folder) if not overwrite else None
        if there is not None:
            differs = there.origin.difference(self.origin)
            if differs is None and there.text() != self.text():
                differs = "the photos, or --rows, are not the same"
            if differs is not None:
                raise TakenError(
                    f"{folder}: it holds other features: {differs}; choose another --out, or "
                    "--overwrite"
                )
            return
        if not overwrite and folder.is_dir() and any(folder.iterdir()):
            raise TakenError(f"{folder}: it holds something else; choose another --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob("part-*") if overwrite else ():
                path.unlink()
            write_atomically(folder / NAME, self.text().encode())
        except OSError as error:
            raise DataError(f"{folder}: cannot be written: {error.strerror or error}") from error
