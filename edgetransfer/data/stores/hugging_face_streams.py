"""Photos that Hugging Face's ``datasets`` streams: row after row, nothing loaded before.

``datasets:NAME`` is a data set of the hub, ``datasets:DIR`` one here (a folder of photos, of
Parquet files, of WebDataset shards, as ``load_dataset`` takes it); ``?split=train`` is one of its
splits alone, ``&config=NAME`` one of its configurations, ``&revision=…`` a commit of the hub's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from edgetransfer.data.found import Found
from edgetransfer.data.split_names import split_of_word
from edgetransfer.data.stores.hugging_face import library, offline_library
from edgetransfer.data.stores.reaching import reaching
from edgetransfer.data.stores.rows import Columns, RowReader
from edgetransfer.errors import DataError, UsageError
from edgetransfer.paths import STREAMED
from edgetransfer.reprs import short_repr

QUESTIONS = ("split", "config", "revision")


@dataclass(frozen=True, kw_only=True)
class StreamedPart:
    """One split of a data set that is streamed.

    Parameters
    ----------
    address
        Of the data set.
    split
        What it is called there.
    columns
        Which of its columns hold what.
    names
        Of the classes, where labels are their numbers.
    source
        Of the rows: iterated anew, it begins anew.
    """

    address: str
    split: str
    columns: Columns
    names: Sequence[str] | None
    source: Any

    __repr__ = short_repr

    def rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What each row is called, and the row.

        Raises
        ------
        DataError
            If it cannot be read any further.
        """
        rows, number = iter(self.source), 0
        while True:
            place = f"{self.split}#{number}"
            with reaching(f"{self.address}, {place}"):
                row = next(rows, None)
                if row is None:
                    return
                lost = [name for name in self.columns.all if name not in row]
                if lost:
                    raise DataError(f"{place}: the column {lost[0]} is missing from here on")
            yield place, row
            number += 1


def streamed_parts(address: str) -> list[StreamedPart]:
    """The splits of what ``datasets:…`` names, nothing of which is read yet but its first rows.

    Raises
    ------
    UsageError
        If datasets is not installed, or the address asks for something else than `QUESTIONS`.
    DataError
        If there is no such data set, or it has no photos or labels.
    """
    name, asked = _read(address)
    here = Path(name).exists()
    if not here and (name.count("/") > 1 or name.startswith(("/", ".", "~"))):
        raise DataError(f"{address}: no such folder")  # the hub need not hear of it
    datasets = offline_library(address) if here else library(address)
    with reaching(address):
        loaded = datasets.load_dataset(
            name,
            asked.get("config"),
            split=asked.get("split"),
            revision=asked.get("revision"),
            streaming=True,
        )
        parts = loaded.items() if isinstance(loaded, dict) else [(asked["split"], loaded)]
        return [_part(str(split), part, address, datasets) for split, part in parts]


def _part(split: str, part: Any, address: str, datasets: Any) -> StreamedPart:
    features = part.features or {}
    rows: Any = part
    there = list(features)
    if not features:  # what the files say is known once one of them is open
        first = next(iter(part), None)
        there = [] if first is None else list(first)
    columns = Columns.among(there, f"{address}, {split}")
    if isinstance(features.get(columns.image), datasets.Image):
        rows = part.cast_column(columns.image, datasets.Image(decode=False))
    names = getattr(features.get(columns.label), "names", None)
    return StreamedPart(address=address, split=split, columns=columns, names=names, source=rows)


def found_in_streamed(address: str) -> Found:
    """All photos of what ``datasets:…`` names, read once and put on a shelf.

    Raises
    ------
    UsageError, DataError
        As `streamed_parts`, and if a row is no labelled photo.
    """
    _, asked = _read(address)
    reader = RowReader(address, Path())
    for part in streamed_parts(address):
        split = None if "split" in asked else split_of_word(part.split)
        if split is None and "split" not in asked:
            raise DataError(
                f"{address}: its split {part.split!r} is none of train, validation and test; name "
                "one by ?split="
            )
        for place, row in part.rows():
            reader.add(row, part.columns, place, names=part.names, split=split)
    return reader.found()


def learned_rows(address: str) -> Iterator[tuple[StreamedPart, str, Mapping[str, Any]]]:
    """The rows to learn from: of the split that is asked for, else of the training split.

    Raises
    ------
    UsageError, DataError
        As `streamed_parts`, and if there is no training split.
    """
    _, asked = _read(address)
    parts = streamed_parts(address)
    if "split" not in asked:
        parts = [part for part in parts if split_of_word(part.split) == "train"]
    if not parts:
        raise DataError(f"{address}: it has no train split; name another one by ?split=")
    return chain.from_iterable(((part, place, row) for place, row in part.rows()) for part in parts)


def _read(address: str) -> tuple[str, dict[str, str]]:
    name, _, query = address.removeprefix(STREAMED).partition("?")
    try:
        asked = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError:
        asked = {query: ""}
    strange = sorted(set(asked) - set(QUESTIONS))
    if not name or strange:
        what = (
            f"{strange[0]!r} is none of {', '.join(QUESTIONS)}" if name else "no data set is named"
        )
        raise UsageError(f"{address}: {what}; such as {STREAMED}beans?split=train")
    return name, asked
