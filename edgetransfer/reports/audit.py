"""The report of ``audit``."""

from __future__ import annotations

from typing import TypedDict

from edgetransfer.reports.shared import SkippedRecord


class WrongLabelRecord(TypedDict):
    """A label that is probably wrong.

    Keys
    ----
    suggested
        The class that a head says which has not seen the photo.
    confidence
        Its probability, 0 to 1.
    """

    id: str
    split: str
    label: str
    suggested: str
    confidence: float


class DuplicateRecord(TypedDict):
    """Two photos of one picture.

    Keys
    ----
    ids, splits, labels
        Of the first, and of the second.
    likeness
        0 to 1.
    mirrored
        Whether one is the mirror image of the other.
    quarter_turns
        By how many it is turned.
    part
        Whether one shows a part of the other: cut out of it, framed, on a screen.
    """

    ids: list[str]
    splits: list[str]
    labels: list[str]
    likeness: float
    mirrored: bool
    quarter_turns: int
    part: bool


class OutlierRecord(TypedDict):
    """A photo like no other.

    Keys
    ----
    score
        Higher is further away.
    """

    id: str
    split: str
    label: str
    score: float


class FindingsRecord(TypedDict):
    """What is doubtful about photos, the most doubtful first.

    Keys
    ----
    compared_all
        Whether all pairs of photos were looked at.
    """

    wrong_labels: list[WrongLabelRecord]
    duplicates: list[DuplicateRecord]
    compared_all: bool
    outliers: list[OutlierRecord]


class AuditRecord(FindingsRecord):
    """The report of ``audit``.

    Keys
    ----
    photos
        How many, by split.
    sorted
        Photos that were copied into folders.
    """

    source: str
    photos: dict[str, int]
    classes: int
    engine: str
    skipped: list[SkippedRecord]
    sorted: int
