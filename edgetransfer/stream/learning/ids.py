"""Which ids a run has accepted: sixteen bytes each, for weeks."""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Iterable
from functools import lru_cache

ID_BYTES = 16
_FIRST_SLOTS = 1 << 12
_FULLEST = 0.6
_HALVES = struct.Struct("<QQ")


@lru_cache(maxsize=4096)  # each is asked for a few times on its way through the stream
def id_key(sample_id: str) -> bytes:
    """16 bytes that stand for an id; two ids in a trillion share them once in 10^14 runs."""
    return hashlib.blake2b(sample_id.encode(errors="surrogatepass"), digest_size=ID_BYTES).digest()


class IdSet:
    """A set of 16-byte keys in one table with open addressing.

    A Python set would take ten times the memory, and a stream never forgets an id.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._table = _empty(_FIRST_SLOTS)
        self._count = 0
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        # Another thread may ask while this one adds: it sees one table, the old or the new.
        table = self._table
        at = _place(table, *_halves(key))
        return bool(table[at] or table[at + 1])

    def add(self, key: bytes) -> None:
        """Add a key; nothing happens if it is there."""
        if 2 * self._count >= _FULLEST * len(self._table):
            self._grow()
        high, low = _halves(key)
        at = _place(self._table, high, low)
        if not (self._table[at] or self._table[at + 1]):
            self._table[at], self._table[at + 1] = high, low
            self._count += 1

    def _grow(self) -> None:
        old = self._table
        larger = _empty(len(old))
        for at in range(0, len(old), 2):
            high, low = old[at], old[at + 1]
            if high or low:
                place = _place(larger, high, low)
                larger[place], larger[place + 1] = high, low
        self._table = larger


def _empty(slots: int) -> array[int]:
    """So many empty slots, of two numbers each."""
    return array("Q", bytes(16 * slots))


def _place(table: array[int], high: int, low: int) -> int:
    """Where a key is, or the empty slot where it would be."""
    last = len(table) - 1
    at = 2 * low & last
    while True:
        there = table[at]
        if (there == high and table[at + 1] == low) or not (there or table[at + 1]):
            return at
        at = (at + 2) & last


def _halves(key: bytes) -> tuple[int, int]:
    """Two 64-bit numbers, never both zero, for that marks an empty slot."""
    high, low = _HALVES.unpack(key)
    return (high, low) if high or low else (1, 1)
