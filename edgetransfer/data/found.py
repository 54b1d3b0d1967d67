"""What a data set's folder, manifest, archive or table holds, before it is split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from edgetransfer.data.samples import Stored
from edgetransfer.data.split_names import Split
from edgetransfer.reprs import short_repr

Remark = tuple[int, str]
"""A level of `logging`, and what a person should know."""


@dataclass(frozen=True, kw_only=True)
class FoundPhoto:
    """A labelled photo.

    Parameters
    ----------
    id
        Its path as it was found, or what names its row.
    source
        As of `Sample`.
    split
        None where there are none.
    """

    id: str
    source: Path | bytes | Stored
    label: str
    split: Split | None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Found:
    """A data set as it was found.

    Parameters
    ----------
    photos
        In order.
    classes
        Those of the training part, empty or not.
    ignored, left_out
        As of `DataSplits`.
    remarks
        What a person should know.
    """

    photos: tuple[FoundPhoto, ...]
    classes: frozenset[str] = frozenset()
    ignored: Counter[str] = field(default_factory=Counter)
    left_out: tuple[tuple[str, int], ...] = ()
    remarks: tuple[Remark, ...] = ()

    __repr__ = short_repr

    def of(self, split: Split) -> tuple[FoundPhoto, ...]:
        """The photos of a split; what is in none is there to train on."""
        return tuple(photo for photo in self.photos if (photo.split or "train") == split)
