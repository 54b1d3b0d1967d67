"""Unlabelled samples that wait for their label."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.stream.learning.learner_state import packed_keys, split_rows
from edgetransfer.types import Float32Array


class UnlabelledPool:
    """Feature rows by key of their sample, in float16; the oldest leave when it is full.

    Parameters
    ----------
    dimension
        The length D of a row.
    budget
        Bytes of all rows together.
    """

    def __init__(self, dimension: int, budget: int) -> None:
        self._dimension = dimension
        self._budget = budget
        self._rows: OrderedDict[bytes, NDArray[np.float16]] = OrderedDict()
        self._bytes = 0

    def copy(self) -> UnlabelledPool:
        """Another one with the same samples; the rows are shared, for nothing changes them."""
        other = UnlabelledPool(self._dimension, self._budget)
        other._rows, other._bytes = self._rows.copy(), self._bytes
        return other

    def get(self, key: bytes) -> Float32Array | None:
        """The rows, (views, D), of a sample; None if it is not here."""
        rows = self._rows.get(key)
        return None if rows is None else rows.astype(np.float32)

    def enter(self, key: bytes, rows: Float32Array) -> int:
        """Keep a sample; returns how many had to leave for it."""
        kept = np.clip(rows, -65504, 65504).astype(np.float16)
        self._rows[key] = kept
        self._bytes += kept.nbytes
        gone = 0
        while self._bytes > self._budget:
            self.leave(next(iter(self._rows)))
            gone += 1
        return gone

    def leave(self, key: bytes) -> bool:
        """Let go of a sample; whether it was here."""
        rows = self._rows.pop(key, None)
        if rows is not None:
            self._bytes -= rows.nbytes
        return rows is not None

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a checkpoint needs."""
        rows = list(self._rows.values())
        return {
            "keys": packed_keys(list(self._rows)),
            "views": np.array([len(r) for r in rows], np.int64),
            "rows": np.concatenate([np.empty((0, self._dimension), np.float16), *rows]),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        pairs = zip(state["keys"], split_rows(state), strict=True)
        self._rows = OrderedDict((key.tobytes(), rows) for key, rows in pairs)
        self._bytes = sum(rows.nbytes for rows in self._rows.values())
