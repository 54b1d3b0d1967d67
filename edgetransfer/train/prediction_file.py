"""Predictions in a file: Parquet, JSON Lines or a table with commas, by its ending."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from edgetransfer.atomic import naming, opened_atomically
from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.features.tables import check_arrow
from edgetransfer.names import json_text, readable
from edgetransfer.train.prediction import Prediction

ENDINGS = (".parquet", ".jsonl", ".csv")
GROUP = 4096  # rows that are held until they are written

Write = Callable[[Prediction], None]


class CommaTable:
    """A line a photo: the photo, its classes and their probabilities.

    Parameters
    ----------
    file
        To be written to, opened with ``newline=""``.
    top
        How many classes a line has.
    """

    def __init__(self, file: TextIO, top: int) -> None:
        self._top = top
        self._writer = csv.writer(file, lineterminator="\n")
        ranks = ["" if i == 0 else f"_{i + 1}" for i in range(top)]
        columns = [f"{name}{rank}" for rank in ranks for name in ("class", "probability")]
        self._writer.writerow(["photo", *columns, "unknown", "error"])

    def write(self, prediction: Prediction) -> None:
        """Write a photo's line."""
        found: list[str] = []
        for name, p in zip(prediction.classes, prediction.probabilities, strict=True):
            found += [readable(name), f"{p:.6f}"]
        found += [""] * (2 * self._top - len(found))
        unknown = "" if prediction.error is not None else str(prediction.unknown).lower()
        self._writer.writerow([readable(prediction.id), *found, unknown, prediction.error or ""])


def check_ending(option: str, path: Path) -> None:
    """Refuse what is no file of predictions by its ending, and Parquet where there is no pyarrow.

    Raises
    ------
    UsageError
        With what it may be.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"{option} {path}: its ending is {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        )
    if path.suffix.lower() == ".parquet":
        check_arrow()


@contextmanager
def prediction_file(path: Path, top: int) -> Iterator[Write]:
    """What writes predictions to a file, which is there once the block has ended without an error.

    In memory are a few thousand of them at most.

    Parameters
    ----------
    path
        Its ending says in which form. Columns of Parquet and JSON Lines are ``id``, ``classes``,
        ``probabilities``, ``unknown`` and ``error``.
    top
        How many classes a line with commas has.

    Raises
    ------
    EdgeTransferError
        If it cannot be written.
    """
    try:
        with opened_atomically(path) as file, ExitStack() as open_writers:
            write = _WRITERS[path.suffix.lower()](file, top, open_writers)

            def written(prediction: Prediction) -> None:
                with naming(path):
                    write(prediction)

            yield written
    except OSError as error:
        if error.filename != str(path):
            raise
        raise EdgeTransferError(f"{path}: cannot be written: {error.strerror}") from error


def _commas(file: BinaryIO, top: int, stack: ExitStack) -> Write:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    stack.callback(text.detach)  # flushes; the file is closed by whoever opened it
    return CommaTable(text, top).write


def _lines(file: BinaryIO, _top: int, _stack: ExitStack) -> Write:
    def write(prediction: Prediction) -> None:
        file.write(json_text(prediction.to_dict()).encode() + b"\n")

    return write


def _parquet(file: BinaryIO, _top: int, stack: ExitStack) -> Write:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        {
            "id": pa.string(),
            "classes": pa.list_(pa.string()),
            "probabilities": pa.list_(pa.float64()),
            "unknown": pa.bool_(),
            "error": pa.string(),
        }
    )
    writer = stack.enter_context(pq.ParquetWriter(file, schema, compression="zstd"))
    held: list[dict[str, Any]] = []

    def flush() -> None:
        writer.write_table(pa.Table.from_pylist(held, schema))
        held.clear()

    def write(prediction: Prediction) -> None:
        row = prediction.to_dict()
        row["id"] = readable(prediction.id)
        row["classes"] = [readable(name) for name in prediction.classes]
        held.append(row)
        if len(held) == GROUP:
            flush()

    stack.callback(lambda: flush() if held else None)
    return write


_WRITERS = {".parquet": _parquet, ".jsonl": _lines, ".csv": _commas}
