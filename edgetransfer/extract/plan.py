"""Which photos go into which table: a function of data and settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgetransfer.data import DataSplits, Sample
from edgetransfer.features.table_index import n_parts, part_name
from edgetransfer.features.tables import ENDING
from edgetransfer.names import readable
from edgetransfer.reprs import short_repr


@dataclass(frozen=True, kw_only=True)
class PartPlan:
    """One table to be made.

    Parameters
    ----------
    name
        Of its file, without the ending.
    samples
        Its photos, in order.
    labels, splits
        Of each photo.
    """

    name: str
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]

    __repr__ = short_repr

    @property
    def ids(self) -> list[str]:
        """Of the photos, as text."""
        return [readable(sample.id) for sample in self.samples]

    def table(self, folder: Path) -> Path:
        """Where it goes."""
        return folder / f"{self.name}{ENDING}"


def plan_parts(
    splits: DataSplits, rows: int, share: tuple[int, int] | None = None
) -> Iterator[PartPlan]:
    """The tables of a data set: its photos in order, the training part first.

    Parameters
    ----------
    rows
        Photos a table.
    share
        (i, n): each n-th table, from the i-th, counted from 1.
    """
    parts = (("train", splits.train), ("val", splits.val), ("test", splits.test))
    every = [(sample, name) for name, samples in parts for sample in samples]
    first, step = (1, 1) if share is None else share
    for number in range(first - 1, n_parts(len(every), rows), step):
        own = every[number * rows : (number + 1) * rows]
        yield PartPlan(
            name=part_name(number),
            samples=tuple(sample for sample, _ in own),
            labels=tuple(splits.classes[sample.label] for sample, _ in own),
            splits=tuple(name for _, name in own),
        )
