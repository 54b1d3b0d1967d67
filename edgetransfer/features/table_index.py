"""``extract.json``: what the tables of a folder have in common, and how many there are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgetransfer.errors import DataError
from edgetransfer.features.tables import Origin
from edgetransfer.reprs import short_repr
from edgetransfer.settings.extract import INDEX
from edgetransfer.untrusted_json import json_value

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
    data
        What the data set is called: the name of its folder or manifest.
    """

    origin: Origin
    classes: tuple[str, ...]
    photos: int
    rows: int
    fingerprint: str
    data: str

    __repr__ = short_repr

    def text(self) -> str:
        """As JSON; the same for the same extraction."""
        values = {"format": FORMAT, **asdict(self), "origin": json_value(self.origin.text())}
        return json.dumps(values, indent=1, sort_keys=True) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Index | None:
        """The one of a folder; None if there is none.

        Raises
        ------
        DataError
            If it is damaged.
        """
        path = folder / INDEX
        try:
            values: dict[str, Any] = json_value(path.read_text(encoding="utf-8"))
            if values.pop("format") != FORMAT:
                raise ValueError("another version's")
            origin = Origin.of_text(json.dumps(values.pop("origin")))
            return cls(origin=origin, classes=tuple(values.pop("classes")), **values)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: damaged, or of another version: {error}") from error

    def names(self) -> list[str]:
        """Of all tables, in order, without the ending."""
        return [part_name(number) for number in range(n_parts(self.photos, self.rows))]


def part_name(number: int) -> str:
    """Of the table of that number, from 0."""
    return f"part-{number:05d}"


def n_parts(photos: int, rows: int) -> int:
    """How many tables of ``rows`` photos there are."""
    return -(-photos // rows)
