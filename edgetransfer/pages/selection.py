"""Which photos a page shows: few enough for any data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.findings import Examination, grouped
from edgetransfer.findings.scored import Scored
from edgetransfer.types import IntArray

LISTED = 24  # photos of a list
WRONG = 48  # labels that are probably wrong
GROUPS = 24  # of copies
IN_GROUP = 6
CELLS = 300  # of the confusion matrix that open
IN_CELL = 12
POINTS = 1500  # of the map


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is shown of an examination; photos are named by their place in all splits."""

    examination: Examination

    @cached_property
    def judged(self) -> int:
        """The split by which the run is judged: test, else validation, else the training photos."""
        names = [part.split for part in self.examination.parts]
        return next(names.index(name) for name in ("test", "val", "train") if name in names)

    @property
    def part(self) -> Scored:
        """That split."""
        return self.examination.parts[self.judged]

    @cached_property
    def places(self) -> IntArray:
        """The photos that it is judged by."""
        found = self.examination
        return np.flatnonzero((found.splits == self.judged) & found.tested)

    @cached_property
    def mistakes(self) -> list[int]:
        """The surest mistakes."""
        found, places = self.examination, self.places
        wrong = places[found.predicted[places] != found.labels[places]]
        return _least(found.confidence[wrong], wrong)

    @cached_property
    def unsure(self) -> list[int]:
        """The photos whose two best classes are nearly equal."""
        part = self.part
        if part.probabilities.shape[1] < 2:
            return []
        best = np.partition(part.probabilities, -2, axis=1)[:, -2:]
        gaps = best[:, 1] - best[:, 0]
        first = int(np.flatnonzero(self.examination.splits == self.judged)[0])
        return _least(gaps[self.places - first], self.places)

    @cached_property
    def wrong(self) -> list[int]:
        """Labels that are probably wrong."""
        return _first(self.examination.wrong, WRONG)

    @cached_property
    def copies(self) -> list[list[int]]:
        """Groups of photos that show the same picture: those over several splits first."""
        found = self.examination
        groups = grouped(found.duplicates.pairs)

        def rank(group: list[int]) -> tuple[bool, bool, int]:
            splits, labels = found.splits[group], found.labels[group]
            return len(set(splits.tolist())) == 1, len(set(labels.tolist())) == 1, group[0]

        return sorted(groups, key=rank)

    @cached_property
    def outliers(self) -> list[int]:
        """Photos that are like no other of their class."""
        return _first(self.examination.outliers, LISTED)

    @cached_property
    def cells(self) -> dict[tuple[int, int], list[int]]:
        """Of each cell of the confusion matrix that opens, (class, taken for): its photos.

        Mistakes come first, the frequent ones before the rare ones.
        """
        found = self.examination
        cells: dict[tuple[int, int], list[int]] = {}
        for place in self.places.tolist():
            key = int(found.labels[place]), int(found.predicted[place])
            cells.setdefault(key, []).append(place)
        order = sorted(cells, key=lambda key: (key[0] == key[1], -len(cells[key]), key))
        return {
            key: sorted(cells[key], key=lambda place: (float(found.confidence[place]), place))
            for key in order[:CELLS]
        }

    @cached_property
    def points(self) -> list[int]:
        """The photos on the map: all, or some at equal distances."""
        n = len(self.examination.samples)
        return list(range(0, n, max(1, -(-n // POINTS))))

    def wanted(self) -> Iterator[int]:
        """Every photo that is shown somewhere, the most important first."""
        yield from self.wrong
        yield from self.mistakes
        for group in self.copies[:GROUPS]:
            yield from group[:IN_GROUP]
        yield from self.unsure
        yield from self.outliers
        for cell, photos in self.cells.items():
            if cell[0] != cell[1]:
                yield from photos[:IN_CELL]
        # Of the rest each class gets its share, so that no class is without a picture.
        for rank in range(IN_CELL):
            for photos in self.cells.values():
                yield from photos[rank : rank + 1]
        yield from self.points


def _least(values: NDArray[np.floating[Any]], places: IntArray) -> list[int]:
    return _first(places[np.lexsort((places, values))], LISTED)


def _first(places: IntArray, most: int) -> list[int]:
    return [int(place) for place in places[:most]]
