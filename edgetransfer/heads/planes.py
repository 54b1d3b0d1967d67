"""Exact sums of feature rows and of their products, in whole numbers.

A row is written as integers of at most ``BITS`` bits times a power of two that its own largest
feature decides. Products of such integers have 42 bits, and as float64 carries 53, the library's
fast matrix product of up to 2,048 rows is exact in any order; blocks are then added in int64,
which holds a million rows at least, and a second int64 takes what is beyond: 2^41 rows in all. Rows
of different powers go into different *planes*, of which a backbone's features need one to three.
What a row loses is at most 2^-20 of its largest feature (float16 loses 2^-12 of each), far below
what a regularised head can see.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgetransfer.types import Float32Array, IntArray

Float64Array = NDArray[np.float64]

BITS = 21
OCTAVES = 2  # of largest features that share a plane
ROWS_PER_BLOCK = 1 << 10  # of 2^11 that are exact: the rest is room for rows that waited
PENDING = 256  # rows that are worth a matrix product
FULL = 1 << 62  # of a sum of squares in one number; a block adds at most 2^53
LOW = 40  # bits that stay in the lower number once there are two
LEAST_EXPONENT = -120  # rows smaller than 2^-141 are rounded to zeros


class Plane:
    """The sums of rows that share one power of two.

    Parameters
    ----------
    exponent
        Integers stand for multiples of 2^exponent.
    sums
        (K, D) int64, by class.
    gram
        (D, D) int64, symmetric.
    high
        (D, D) int64, in units of 2^40, where the sums are beyond `FULL`; then ``gram`` has what
        is below. None where they are not, so that equal sums are equal numbers.
    count
        How many rows it holds.
    """

    def __init__(self, exponent: int, sums: IntArray, gram: IntArray, count: int = 0) -> None:
        self.exponent = exponent
        self.count = count
        self.sums = sums
        self.gram = gram
        self.high: IntArray | None = None
        self._buffer = sums  # with room for classes to come
        self._pending: dict[int, list[Float64Array]] = {1: [], -1: []}
        self._waiting = 0

    def add(self, rows: Float64Array, labels: IntArray, sign: int) -> None:
        """Add (n, D) whole numbers, or take them away if ``sign`` is -1."""
        order = np.argsort(labels, kind="stable")
        present, first = np.unique(labels[order], return_index=True)
        totals = np.add.reduceat(rows[order], first, axis=0)
        self.sums[present] += sign * totals.astype(np.int64)
        self.count += sign * len(rows)
        self._pending[sign].append(rows)
        self._waiting += len(rows)
        if self._waiting >= PENDING:
            self.settle()

    def grow(self, n_classes: int) -> None:
        """Make room for classes; more than is asked for, so that a class at a time is cheap."""
        if n_classes > len(self._buffer):
            room = max(n_classes, len(self._buffer) * 3 // 2)
            self._buffer = np.zeros((room, self.sums.shape[1]), np.int64)
            self._buffer[: len(self.sums)] = self.sums
        self.sums = self._buffer[:n_classes]

    def keep(self, classes: IntArray) -> None:
        """Keep these classes alone, in their order."""
        self.sums = self._buffer = self.sums[classes]

    def settle(self) -> None:
        """Bring the Gram matrix up to date: single rows wait until they are worth a product."""
        for sign, waiting in self._pending.items():
            if not waiting:
                continue
            rows = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            waiting.clear()
            product = (rows.T @ rows).astype(np.int64)
            self.gram += product if sign > 0 else -product
        self._waiting = 0
        # No product of two features is above the larger one's squares.
        if np.abs(self.gram.diagonal()).max(initial=0) > FULL:
            self._carry()

    def normalise(self) -> None:
        """Settle, in the one form that these sums have."""
        self.settle()
        if self.high is None:
            return
        self._carry()
        above, below = self.high.diagonal(), self.gram.diagonal()
        limit = FULL >> LOW
        if not ((above > limit) | ((above == limit) & (below > 0))).any():
            self.gram += self.high << LOW
            self.high = None

    def _carry(self) -> None:
        if self.high is None:
            self.high = np.zeros_like(self.gram)
        self.high += self.gram >> LOW  # down, below zero too: what stays is not negative
        self.gram &= (1 << LOW) - 1

    def merge(self, other: Plane, sign: int) -> None:
        """Add another plane of the same power, or take it away."""
        other.settle()
        self.settle()
        self.count += sign * other.count
        self.sums += sign * other.sums
        self._carry()
        if other.high is not None and self.high is not None:
            self.high += sign * other.high
        self.gram += sign * other.gram
        self.normalise()

    @property
    def rounding(self) -> float:
        """The most that rounding can have added to a feature's scatter."""
        return self.count * 4.0 ** (self.exponent - 1)


def whole_numbers(features: Float32Array) -> Iterator[tuple[int, Float64Array, IntArray]]:
    """(n, D) rows as whole numbers: exponent, (m, D) float64, and which rows, by exponent."""
    largest = np.abs(features).max(axis=1, initial=0).astype(np.float64)
    _, exponents = np.frexp(largest)
    above = np.maximum(-(-exponents // OCTAVES) * OCTAVES, LEAST_EXPONENT) - BITS
    for exponent in np.unique(above[largest > 0]).tolist():
        members = np.flatnonzero((above == exponent) & (largest > 0))
        yield exponent, np.rint(np.ldexp(features[members].astype(np.float64), -exponent)), members
