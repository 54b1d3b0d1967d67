"""The rows that are most alike to some others, of however many, looked at once and in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array

Name = TypeVar("Name")


@dataclass(frozen=True, kw_only=True)
class Alike(Generic[Name]):
    """A row, and how much it is like another.

    Parameters
    ----------
    name
        Of the row.
    similarity
        Cosine of the angle between the two, -1 to 1.
    """

    name: Name
    similarity: float

    __repr__ = short_repr


class MostAlike(Generic[Name]):
    """Exact search: each part is one product of matrices, and only the best rows are kept.

    Of rows that are equally alike the earlier one comes first, however they are parted.

    Parameters
    ----------
    queries
        (Q, D) float32.
    n
        How many are wanted of each.
    """

    def __init__(self, queries: Float32Array, n: int) -> None:
        self._queries = _unit(queries)
        self._n = n
        self._found: list[list[Alike[Name]]] = [[] for _ in queries]

    def add(self, rows: Float32Array, names: Sequence[Name]) -> None:
        """Look at further rows, (n, D) float32; one that is not finite is like none."""
        if not len(rows):
            return
        finite = np.isfinite(rows).all(axis=1)
        similarities = self._queries @ _unit(np.where(finite[:, None], rows, 0)).T
        similarities[:, ~finite] = -np.inf
        for found, own in zip(self._found, similarities, strict=True):
            best = np.argsort(-own, kind="stable")[: self._n]
            found += [
                Alike(name=names[place], similarity=float(own[place]))
                for place in best.tolist()
                if np.isfinite(own[place])
            ]
            found.sort(key=lambda one: -one.similarity)  # a stable sort: the earlier one is first
            del found[self._n :]

    @property
    def found(self) -> list[list[Alike[Name]]]:
        """For each query the best rows so far, the best one first."""
        return [list(one) for one in self._found]


def _unit(rows: Float32Array) -> Float32Array:
    """Rows of length one; zeros stay."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Float32Array = rows / np.maximum(length, np.finfo(np.float32).tiny)
    return unit
