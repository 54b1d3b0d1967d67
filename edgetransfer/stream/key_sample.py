"""A uniform sample of a stream that does not depend on its order: those with the least keys.

Keys are hashes of ids, so that the k samples with the least ones are a uniform sample of all,
the same in whatever order they came (Cohen & Kaplan, "Summarizing data using bottom-k sketches",
PODC 2007). It stays uniform when samples are forgotten: then it holds all that there are below
the least key that was ever turned away.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.learning.learner_state import packed_keys
from edgetransfer.types import Float32Array, IntArray

_BEYOND = (1 << 8 * ID_BYTES) - 1  # at or above every key


class KeySample:
    """Feature rows with their labels, of the samples with the least keys.

    Parameters
    ----------
    dimension
        The length D of a row.
    size
        Samples at most.
    """

    def __init__(self, dimension: int, size: int) -> None:
        self._dimension = dimension
        self._size = size
        self._rows: dict[bytes, tuple[NDArray[np.float32], int]] = {}
        self._largest: list[int] = []  # a heap of negated keys; some may have left
        self._limit = _BEYOND  # keys from here on are turned away

    def __len__(self) -> int:
        return len(self._rows)

    def wants(self, key: bytes) -> bool:
        """Whether a sample of this key would be kept."""
        return int.from_bytes(key) < self._limit

    def add(self, key: bytes, row: Float32Array, label: int) -> None:
        """Offer a sample by a (D,) row of it; another may leave for it."""
        if not self.wants(key):
            return
        self._rows[key] = (row.copy(), label)
        heappush(self._largest, -int.from_bytes(key))
        while len(self._rows) > self._size:
            largest = -heappop(self._largest)
            if self._rows.pop(largest.to_bytes(ID_BYTES), None) is not None:
                self._limit = largest

    def relabel(self, key: bytes, label: int) -> None:
        """Give a sample another label, if it is here."""
        if key in self._rows:
            self._rows[key] = (self._rows[key][0], label)

    def forget(self, key: bytes) -> None:
        """Let go of a sample, if it is here."""
        self._rows.pop(key, None)

    def renumber(self, new: list[int]) -> None:
        """Rename class i to ``new[i]``; samples of a class at -1 leave."""
        self._rows = {
            key: (row, new[label]) for key, (row, label) in self._rows.items() if new[label] >= 0
        }

    def table(self) -> tuple[Float32Array, IntArray]:
        """(m, D) float32 rows and their (m,) labels, in the order of their keys."""
        ordered = [self._rows[key] for key in sorted(self._rows)]
        rows = np.array([row for row, _ in ordered], np.float32).reshape(-1, self._dimension)
        return rows, np.array([label for _, label in ordered], np.int64)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a checkpoint needs; the same for the same samples."""
        keys = sorted(self._rows)
        rows = np.array([self._rows[key][0] for key in keys], np.float32)
        return {
            "keys": packed_keys(keys),
            "rows": rows.reshape(-1, self._dimension),
            "labels": np.array([self._rows[key][1] for key in keys], np.int64),
            "limit": np.frombuffer(self._limit.to_bytes(ID_BYTES), np.uint8),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        parts = zip(state["keys"], state["rows"], state["labels"].tolist(), strict=True)
        self._rows = {key.tobytes(): (row.copy(), label) for key, row, label in parts}
        self._limit = int.from_bytes(state["limit"].tobytes())
        self._largest = []
        for key in self._rows:
            heappush(self._largest, -int.from_bytes(key))
