"""Where a learner stands: its counts, what waits, and all of it as a checkpoint holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.stream.learning.records import Record
from edgetransfer.types import Float32Array


@dataclass(kw_only=True)
class Counts:
    """How far a learner is.

    Parameters
    ----------
    position
        Records seen.
    accepted
        Samples seen, with a label or without.
    labelled
        Those that have a label by now.
    learned
        Those that were learned; the others wait for a full batch.
    batches
        Learned batches.
    refits, adopted
        L-BFGS refits that were decided on, and how many of them were adopted.
    next_refit
        Learned batches at the start of the next refit.
    apart
        Batches between its start and the one after.
    expired
        Unlabelled samples that left the pool before their label came.
    last_time
        Time of the last accepted record, in seconds since 1970.
    """

    position: int = 0
    accepted: int = 0
    labelled: int = 0
    learned: int = 0
    batches: int = 0
    refits: int = 0
    adopted: int = 0
    next_refit: int = 0
    apart: int = 0
    expired: int = 0
    last_time: float = 0.0

    def go_behind(self, record: Record) -> None:
        """Count the next record of the journal.

        Raises
        ------
        ValueError
            If it is another one: every record is learned once, in their order.
        """
        if record.n != self.position:
            raise ValueError(f"record {record.n} where {self.position} was due")
        self.position += 1
        self.last_time = record.time


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A labelled sample that waits for a full batch: (views, D) float32 rows."""

    key: bytes
    label: int
    rows: Float32Array


@dataclass(kw_only=True)
class LearnerState:
    """A learner on its way to or from a checkpoint: arrays by name, and JSON values."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def parts(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The arrays by what stands before the first dot of their names, then by the rest."""
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for name, array in self.arrays.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = array
        return parts


def waiting_state(waiting: Sequence[Waiting], dimension: int) -> dict[str, NDArray[Any]]:
    """Arrays of what waits, for a checkpoint."""
    return {
        "keys": packed_keys([w.key for w in waiting]),
        "labels": np.array([w.label for w in waiting], np.int64),
        "views": np.array([len(w.rows) for w in waiting], np.int64),
        "rows": np.concatenate([np.empty((0, dimension), np.float32), *(w.rows for w in waiting)]),
    }


def restored_waiting(state: dict[str, NDArray[Any]]) -> list[Waiting]:
    """The inverse of `waiting_state`."""
    return [
        Waiting(key=key.tobytes(), label=int(label), rows=rows)
        for key, label, rows in zip(state["keys"], state["labels"], split_rows(state), strict=True)
    ]


def packed_keys(keys: list[bytes]) -> NDArray[np.uint8]:
    """Keys of samples, (n, 16) uint8."""
    return np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1 if keys else 16)


def split_rows(part: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Rows of each sample, from all rows and the number of each sample's."""
    ends = np.cumsum(part["views"])
    pairs = zip(ends - part["views"], ends, strict=True)
    return [part["rows"][start:end].copy() for start, end in pairs]
