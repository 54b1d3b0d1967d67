"""Which ids a run has accepted: sixteen bytes each, for weeks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ID_BYTES = 16
_FIRST_SLOTS = 1 << 12
_FULLEST = 0.6
_AT_ONCE = 1 << 12


@lru_cache(maxsize=4096)  # each is asked for a few times on its way through the stream
def id_key(sample_id: str) -> bytes:
    """16 bytes that stand for an id; two ids in a trillion share them once in 10^14 runs."""
    return hashlib.blake2b(sample_id.encode(errors="surrogatepass"), digest_size=ID_BYTES).digest()


class IdSet:
    """A set of 16-byte keys in one table with open addressing.

    A Python set would take ten times the memory, and a stream never forgets an id.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._table: NDArray[np.uint64] = np.zeros((_FIRST_SLOTS, 2), np.uint64)
        self._count = 0
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        # Another thread may ask while this one adds: it sees one table, the old or the new.
        table = self._table
        slot = _slot(table, *_halves(key))
        return bool(table[slot, 0] or table[slot, 1])

    def add(self, key: bytes) -> None:
        """Add a key; nothing happens if it is there."""
        if self._count >= _FULLEST * len(self._table):
            self._grow()
        high, low = _halves(key)
        slot = _slot(self._table, high, low)
        if not (self._table[slot, 0] or self._table[slot, 1]):
            self._table[slot] = (high, low)
            self._count += 1

    def _grow(self) -> None:
        old = self._table
        larger = np.zeros((2 * len(old), 2), np.uint64)
        for start in range(0, len(old), _AT_ONCE):  # all at once would be many times the table
            part = old[start : start + _AT_ONCE]
            for high, low in part[part.any(axis=1)].tolist():
                larger[_slot(larger, high, low)] = (high, low)
        self._table = larger


def _slot(table: NDArray[np.uint64], high: int, low: int) -> int:
    """Where a key is, or the empty slot where it would be."""
    mask = len(table) - 1
    slot = low & mask
    while True:
        there = (int(table[slot, 0]), int(table[slot, 1]))
        if there in ((high, low), (0, 0)):
            return slot
        slot = (slot + 1) & mask


def _halves(key: bytes) -> tuple[int, int]:
    """Two 64-bit numbers, never both zero, for that marks an empty slot."""
    high, low = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    return (high, low) if high or low else (1, 1)
