"""Manifests: tables (CSV, TSV) and JSON Lines of ``path``, ``label`` and perhaps ``split``."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetransfer.data.labels import checked_label
from edgetransfer.data.split_names import Split, split_of_word
from edgetransfer.errors import DataError
from edgetransfer.names import is_file_name, readable
from edgetransfer.untrusted_json import json_object

TABLES = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
ENDINGS = (*TABLES, *JSON_LINES)


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """A row that names a photo.

    Parameters
    ----------
    line
        That it begins in, from 1.
    path
        As written; below the manifest's folder unless it is absolute.
    label
        See `checked_label`.
    split
        None where the row names none.
    """

    line: int
    path: str
    label: str
    split: Split | None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The rows of a manifest, each file once.

    Parameters
    ----------
    repeated
        Rows that name a file again, with the same label and split.
    """

    rows: tuple[ManifestRow, ...]
    repeated: tuple[ManifestRow, ...]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest whole.

    Raises
    ------
    DataError
        With the line, where it cannot be read: a row with too many or too few cells, a quotation
        mark that is never closed or swallows rows, no path or label, no such split, a label that
        `checked_label` refuses, a file that is named with two labels or in two splits.
    """
    first: dict[str, ManifestRow] = {}
    repeated = []
    for line, record in _records(path):
        row = _row(path, line, record)
        file = os.path.normpath(row.path)
        before = first.setdefault(file, row)
        if before is row:
            continue
        if before.label != row.label:
            raise DataError(
                f"{_where(path, line)}: {readable(row.path)} is labelled {row.label!r} here and "
                f"{before.label!r} in line {before.line}; keep one of them"
            )
        if (before.split or "train") != (row.split or "train"):
            raise DataError(
                f"{_where(path, line)}: {readable(row.path)} is in the split "
                f"{row.split or 'train'} here and in {before.split or 'train'} in line "
                f"{before.line}; keep one of them"
            )
        repeated.append(row)
    if not first:
        raise DataError(f"{path}: the manifest has no rows")
    return Manifest(rows=tuple(first.values()), repeated=tuple(repeated))


def field_text(value: object, name: str) -> str | None:
    """The text of a JSON value: a string, or a number as it is written; None for null.

    Raises
    ------
    DataError
        If it is anything else, such as a list.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    raise DataError(f"{name} is a string")


def _row(path: Path, line: int, record: Mapping[str, Any]) -> ManifestRow:
    try:
        file, label = (field_text(record.get(name), name) for name in ("path", "label"))
        if not file or not label:
            raise DataError("needs a path and a label")
        if not is_file_name(file):
            raise DataError(f"no file can be called {readable(file[:100])!r}")
        word = field_text(record.get("split"), "split")
        split = split_of_word(word) if word and word.strip() else None
        if split is None and word and word.strip():
            raise DataError(f"split is train, val or test, not {word!r}")
        return ManifestRow(line=line, path=file, label=checked_label(label), split=split)
    except DataError as error:
        raise DataError(f"{_where(path, line)}: {error}") from error


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each record with the line that it begins in."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{_where(path, line)}: not UTF-8 text; save it as UTF-8 (a spreadsheet: CSV UTF-8)"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    delimiter = TABLES.get(path.suffix.lower())
    first = text.partition("\n")[0]
    if delimiter == "," and "," not in first and ";" in first:
        delimiter = ";"  # as a spreadsheet writes it where commas are in numbers
    return _json_records(path, text) if delimiter is None else _Table(path, text, delimiter).rows()


MOST_VALUES = 1_000_000  # of a line: a row of another program's table may hold whole vectors


def _json_records(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if not line.strip():
            continue
        try:
            record = json_object(line, most=MOST_VALUES)
        except ValueError as error:
            raise DataError(f"{_where(path, number)}: {error}") from error
        yield number, record


class _Table:
    """CSV and TSV, as Python's csv module writes them, with the columns named in the first line."""

    def __init__(self, path: Path, text: str, delimiter: str) -> None:
        self._path = path
        self._text = text
        self._delimiter = delimiter
        # Blanks after commas belong to names, unless the first line has them too.
        spaced = any(cell.startswith(" ") for cell in text.partition("\n")[0].split(delimiter)[1:])
        self._reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            strict=True,
            skipinitialspace=spaced,
        )

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        records = self._cells()
        _, header = next(records, (1, []))
        header = [name.strip() for name in header]
        self._check_header(header)
        for line, cells in records:
            given = dict(zip(header, cells, strict=False))
            whole = {"path", "label"} <= given.keys()  # else the row says so
            if len(cells) > len(header) or (whole and len(cells) < len(header)):
                raise DataError(
                    f"{_where(self._path, line)}: {len(cells)} cells, where the first line names "
                    f"{len(header)}; a cell that holds {self._delimiter!r} is written in "
                    "quotation marks"
                )
            if any("\n" in cell or "\r" in cell for cell in cells):
                self._check_line_breaks(line, given)
            yield line, given

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        """The cells of each row that is not empty, with the line that it begins in."""
        line = 1
        while True:
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                raise DataError(
                    f"{_where(self._path, line)}: {error}: a quotation mark that opens a cell "
                    'must close it; one that belongs to a name is written """…", doubled and in '
                    "a quoted cell"
                ) from error
            if cells is None:
                return
            if cells:
                yield line, cells
            line = self._reader.line_num + 1

    def _check_header(self, header: list[str]) -> None:
        missing = sorted({"path", "label"} - set(header))
        if missing:
            raise DataError(
                f"{self._path}: the first line must name the columns path and label, separated "
                f"by {self._delimiter!r}; {' and '.join(missing)} missing (it names "
                f"{readable(', '.join(header)[:100]) or 'nothing'})"
            )
        twice = [name for name in ("path", "label", "split") if header.count(name) > 1]
        if twice:
            raise DataError(f"{self._path}: the first line names the column {twice[0]} twice")

    def _check_line_breaks(self, line: int, record: Mapping[str, str]) -> None:
        """A cell of several lines is what it seems, or a quotation mark that swallowed rows."""
        folder = self._path.parent
        path = record.get("path", "")
        wrong = any(mark in path for mark in "\r\n") and not _is_there(folder, path)
        for cell in record.values():
            if "\n" in cell and cell != path:
                names = (name for row in cell.splitlines() for name in row.split(self._delimiter))
                wrong = wrong or any(_is_there(folder, name) for name in names)
        if wrong:
            raise DataError(
                f"{_where(self._path, line)}: a quotation mark opens a cell here that ends in "
                f"line {self._reader.line_num}; if it belongs to a name, it is written doubled "
                'and in a quoted cell, """…"'
            )


def _is_there(folder: Path, name: str) -> bool:
    """Whether a file of this name is in the folder."""
    try:
        return (folder / name).is_file()
    except (OSError, ValueError):  # no file can be called so
        return False


def _where(path: Path, line: int) -> str:
    return f"{path}, line {line}"
