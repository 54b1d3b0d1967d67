"""Predictions of a stream as Parquet tables, beside it: late perhaps, each once.

How far they were written stands in ``prediction_tables.json``. A table is called by how many
predictions were written before it: one that a kill left without its place in there is written again
under the same name.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path
from time import monotonic
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import EdgeTransferError, TakenError
from edgetransfer.features.tables import check_arrow
from edgetransfer.names import readable
from edgetransfer.reports.stream import PredictionTablesRecord
from edgetransfer.stream.follower import Follower
from edgetransfer.stream.keeping.predictions import NAME
from edgetransfer.stream.predictions_reader import PredictionsReader
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

STATE = "prediction_tables.json"
ROWS, BYTES = 16384, 2**23  # of one table, and of its lines
LOOK = 1.0  # seconds between looks at the file
LONGEST = 300.0  # seconds that a prediction waits for others to make a table with


class PredictionTables(Follower):
    """Writes each line of a run's predictions into tables, in their order.

    Parameters
    ----------
    run
        The run folder.
    folder
        Of the tables; made if it is not there.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    TakenError
        If the folder holds what another run, or another program, has written.
    EdgeTransferError
        If it cannot be made.
    """

    def __init__(self, run: Path, folder: Path) -> None:
        check_arrow()
        self._folder = folder.resolve()
        reader = PredictionsReader(run, STATE, str(self._folder), lines=ROWS, size=BYTES)
        super().__init__("edgetransfer-tables", reader)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            there = any(path.suffix == ".parquet" for path in self._folder.iterdir())
        except OSError as error:
            raise EdgeTransferError(
                f"--predictions {folder}: cannot be made: {error.strerror}"
            ) from error
        if there and not reader.known:
            raise TakenError(
                f"--predictions {folder}: tables are there that this run did not write; choose "
                "another folder"
            )
        reader.keep()  # the folder is this run's before there is a table

    def report(self) -> PredictionTablesRecord:
        """How it stands, as JSON values."""
        return {
            "folder": readable(str(self._folder)),
            "written": self._reader.sent.delivered,
            "waiting_bytes": self._reader.waiting(),
            "gaps": self._reader.sent.gaps,
            "error": self.error,
        }

    def _run_until_stopped(self) -> None:
        since: float | None = None  # of what waits
        while not self._stop.wait(LOOK):
            lines = self._reader.next()
            since = (since or monotonic()) if lines else None
            full = lines.count(b"\n") >= ROWS or len(lines) > BYTES // 2
            if lines and (full or monotonic() - (since or 0.0) >= LONGEST):
                self._write(lines)
                since = None
        while (lines := self._reader.next()) and self._write(lines):
            pass

    def _write(self, lines: bytes) -> bool:
        """Write a table of lines and remember it; False if it could not be."""
        rows = [row for line in lines.splitlines() if (row := _row(line)) is not None]
        try:
            if rows:
                name = f"part-{self._reader.sent.delivered:012d}.parquet"
                write_atomically(self._folder / name, _table(rows))
        except OSError as error:
            if self.error is None:
                logger.warning(
                    "%s: no table written: %s; they wait in %s", self._folder, error, NAME
                )
            self.error = str(error)
            return False
        self.error = None
        self._reader.taken(lines, len(rows))
        return True


def _row(line: bytes) -> dict[str, Any] | None:
    """A line's prediction; None if it is torn."""
    try:
        said = json_value(line)
        return {
            "id": readable(said["id"]),
            "predicted": None if said["predicted"] is None else readable(said["predicted"]),
            "probability": said["probability"],
            "unknown": said["unknown"],
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _table(rows: list[dict[str, Any]]) -> memoryview:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        {
            "id": pa.string(),
            "predicted": pa.string(),
            "probability": pa.float64(),
            "unknown": pa.bool_(),
        }
    )
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), content, compression="zstd")
    return content.getbuffer()
