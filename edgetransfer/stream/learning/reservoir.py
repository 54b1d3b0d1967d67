"""A bounded, class-balanced memory of feature rows.

Chrysakis and Moens, "Online Continual Learning from Imbalanced Data" (ICML 2020), algorithm 1:
while there is room every row is kept; then a row of a class that is not the largest takes the
place of a random row of the largest, and a row of the largest class takes part in ordinary
reservoir sampling (Vitter 1985) among its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetransfer.errors import UsageError
from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.types import Float32Array, IntArray

_FLOAT16_MAX = 65504.0
_WIDE = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)

Arrays = dict[str, NDArray[np.generic]]


class Reservoir:
    """Feature rows in float16, each with its label and the key of its sample.

    All memory is taken at the start, so it doesn't grow later.

    Parameters
    ----------
    dimension
        The length D of a row.
    budget
        Bytes of all arrays together; a row takes 2 D + 24.

    Raises
    ------
    UsageError
        If not one row fits the budget.
    """

    def __init__(self, dimension: int, budget: int) -> None:
        self.capacity = budget // (2 * dimension + ID_BYTES + 8)
        if self.capacity < 1:
            raise UsageError(
                f"a reservoir of {budget} bytes does not hold one row of {dimension} features: "
                "give a larger --reservoir"
            )
        self._rows = np.full((self.capacity, dimension), 0, np.float16)
        self._labels = np.full(self.capacity, -1, np.int32)
        self._keys = np.full((self.capacity, ID_BYTES), 0, np.uint8)
        # Where each row stands in its class's list: makes removal constant in time.
        self._places = np.full(self.capacity, -1, np.int32)
        self._members: list[list[int]] = []
        self._lengths: IntArray = np.zeros(0, np.int64)  # of each list of members
        self._seen: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def counts(self) -> list[int]:
        """Rows by class."""
        return [len(members) for members in self._members]

    def add(
        self,
        rows: Float32Array,
        labels: Sequence[int],
        keys: Sequence[bytes],
        rng: np.random.Generator,
    ) -> None:
        """Offer (n, D) rows one after the other; each may be kept, and another forgotten for it.

        ``keys`` are those of their samples, 16 bytes each.
        """
        more = max(labels, default=-1) + 1 - len(self._members)
        if more > 0:
            self._members.extend([] for _ in range(more))
            self._seen.extend([0] * more)
            self._lengths = np.pad(self._lengths, (0, more))
        row_of: dict[int, int] = {}  # by slot: a later row may take the place of an earlier one
        chances = rng.random((len(labels), 2)).tolist()
        for i, (label, (whether, which)) in enumerate(zip(labels, chances, strict=True)):
            slot = self._slot_for(label, whether, which)
            if slot is not None:
                self._enter(slot, label)
                row_of[slot] = i
        if row_of:
            slots, order = list(row_of), list(row_of.values())
            kept = np.clip(rows[order], -_FLOAT16_MAX, _FLOAT16_MAX)
            self._rows[slots] = kept.astype(np.float16)
            self._keys[slots] = np.frombuffer(b"".join(keys[i] for i in order), np.uint8).reshape(
                -1, ID_BYTES
            )

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Float32Array, IntArray]:
        """Draw n rows with replacement: the class evenly, then a row of it evenly.

        Returns (n, D) float32 and (n,) int64; none if there are no rows.
        """
        present = self._lengths.nonzero()[0]
        if not len(present):
            return np.empty((0, self._rows.shape[1]), np.float32), np.empty(0, np.int64)
        labels = present[rng.integers(0, len(present), n)]
        places = (rng.random(n) * self._lengths[labels]).astype(np.int64)
        members = self._members
        slots = [
            members[k][place] for k, place in zip(labels.tolist(), places.tolist(), strict=True)
        ]
        return _widened(self._rows[slots]), labels

    def subset(self, n: int, rng: np.random.Generator) -> tuple[Float32Array, IntArray]:
        """At most n different rows, as evenly over the classes as they allow, as float32."""
        if self._size <= n:
            chosen = np.arange(self._size)
        else:
            order: list[tuple[int, int]] = []
            for members in self._members:
                shuffled = rng.permutation(len(members))
                order.extend((rank, members[i]) for rank, i in enumerate(shuffled.tolist()))
            order.sort()
            chosen = np.array([slot for _, slot in order[:n]], np.int64)
        return self._rows[chosen].astype(np.float32), self._labels[chosen].astype(np.int64)

    def forget(self, keys: frozenset[bytes], labels: frozenset[int]) -> int:
        """Remove all rows of these samples and classes; returns how many there were."""
        gone = [
            slot
            for slot in range(self._size)
            if self._keys[slot].tobytes() in keys or int(self._labels[slot]) in labels
        ]
        for slot in reversed(gone):
            self._leave(slot)
            last = self._size - 1
            if slot != last:
                label = int(self._labels[last])
                self._members[label][int(self._places[last])] = slot
                for array in (self._rows, self._labels, self._keys, self._places):
                    array[slot] = array[last]
            for array in (self._rows, self._labels, self._keys, self._places):
                array[last] = 0
            self._size = last
        return len(gone)

    def move(self, key: bytes, label: int) -> None:
        """Give the rows of a sample another class, which may be new."""
        more = label + 1 - len(self._members)
        if more > 0:
            self._members.extend([] for _ in range(more))
            self._seen.extend([0] * more)
            self._lengths = np.pad(self._lengths, (0, more))
        wanted = np.frombuffer(key, np.uint8)
        for slot in np.flatnonzero((self._keys[: self._size] == wanted).all(axis=1)).tolist():
            self._seen[int(self._labels[slot])] -= 1
            self._leave(slot)
            self._seen[label] += 1
            self._enter(slot, label)

    def relabel(self, new: list[int]) -> None:
        """Rename class i to ``new[i]``; -1 for one that is no more, and that has no rows.

        Classes beyond those that were ever offered have no rows yet, and stay unknown here.
        """
        new = new[: len(self._members)]
        count = max(new, default=-1) + 1
        members: list[list[int]] = [[] for _ in range(count)]
        seen = [0] * count
        for old, label in enumerate(new):
            if label >= 0:
                members[label], seen[label] = self._members[old], self._seen[old]
        self._members, self._seen = members, seen
        self._lengths = np.array([len(slots) for slots in members], np.int64)
        for label, slots in enumerate(members):
            self._labels[slots] = label

    def state(self) -> Arrays:
        """Everything that a checkpoint needs; the arrays are views, not copies."""
        n = self._size
        return {
            "rows": self._rows[:n],
            "labels": self._labels[:n],
            "keys": self._keys[:n],
            "places": self._places[:n],
            "seen": np.array(self._seen, np.int64),
        }

    def restore(self, state: Arrays) -> None:
        """Go on from what `state` returned."""
        n = self._size = len(state["labels"])
        self._rows[:n] = state["rows"]
        self._labels[:n] = state["labels"]
        self._keys[:n] = state["keys"]
        self._places[:n] = state["places"]
        self._seen = [int(count) for count in state["seen"]]
        counts = np.bincount(self._labels[:n], minlength=len(self._seen))
        self._members = [[0] * int(count) for count in counts]
        self._lengths = counts.astype(np.int64)
        for slot in range(n):
            self._members[int(self._labels[slot])][int(self._places[slot])] = slot

    def _slot_for(self, label: int, whether: float, which: float) -> int | None:
        """A free slot for a row that is offered; None if it is not kept.

        ``whether`` and ``which`` are even random numbers from 0 to below 1.
        """
        self._seen[label] += 1
        if self._size < self.capacity:
            self._size += 1
            return self._size - 1
        own, largest = self._members[label], self._members[int(self._lengths.argmax())]
        if len(own) < len(largest):
            slot = largest[int(which * len(largest))]
        elif whether < len(own) / self._seen[label]:
            slot = own[int(which * len(own))]
        else:
            return None
        self._leave(slot)
        return slot

    def _enter(self, slot: int, label: int) -> None:
        self._labels[slot] = label
        self._places[slot] = len(self._members[label])
        self._members[label].append(slot)
        self._lengths[label] += 1

    def _leave(self, slot: int) -> None:
        label = int(self._labels[slot])
        members, place = self._members[label], int(self._places[slot])
        self._lengths[label] -= 1
        last = members.pop()
        if last != slot:
            members[place] = last
            self._places[last] = place


def _widened(rows: NDArray[np.float16]) -> Float32Array:
    """As float32: ``astype`` bit for bit, in half of the time or, for tiny numbers, less."""
    wide: Float32Array = _WIDE.take(rows.view(np.uint16), mode="clip")
    return wide
