"""A table of features as JSON Lines, for programs that read no Parquet."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.atomic import naming, opened_atomically
from edgetransfer.errors import EdgeTransferError
from edgetransfer.features.tables import TableFile
from edgetransfer.names import json_text

ENDING = ".jsonl"


def lines_beside(table: Path) -> Path:
    """Where the lines of a table stand."""
    return table.with_suffix(ENDING)


def write_lines(table: Path) -> None:
    """Write a table's rows as JSON Lines beside it, whole or not at all.

    A line has ``id``, ``label``, ``split``, ``feature`` (D numbers that read back to the same
    float32 or float16) and ``problem``; what is not there is null. In memory is one group of rows.

    Raises
    ------
    DataError
        If the table is not whole.
    EdgeTransferError
        If they cannot be written.
    """
    path = lines_beside(table)
    file = TableFile(table)
    try:
        with opened_atomically(path) as out:
            for rows in file.rows():
                features = rows.features.astype(file.origin.dtype).astype("float64").tolist()
                for place, name in enumerate(rows.ids):
                    line = {
                        "id": name,
                        "label": rows.labels[place] or None,
                        "split": rows.splits[place],
                        "feature": None if place in rows.problems else features[place],
                        "problem": rows.problems.get(place),
                    }
                    with naming(path):
                        out.write(json_text(line).encode() + b"\n")
    except OSError as error:
        raise EdgeTransferError(f"{path}: cannot be written: {error.strerror or error}") from error
