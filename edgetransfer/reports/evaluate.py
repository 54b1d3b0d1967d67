"""The reports of ``evaluate``: of a run, and of a backbone's own classifier."""

from __future__ import annotations

from edgetransfer.reports.shared import Accuracies, BackboneRecord, SkippedRecord


class TestedRecord(Accuracies):
    """What every test says.

    Keys
    ----
    n
        Photos that were tested on.
    """

    n: int
    skipped: list[SkippedRecord]
    engine: str


class EvaluateRecord(TestedRecord):
    """How good a run is on labelled photos.

    Keys
    ----
    per_class
        The share that is right of each class that there are photos of.
    confusion
        How often a class, by row, was taken for another, by column.
    trained_on
        Ids of photos that were left out because the run was trained on them.
    """

    per_class: dict[str, float]
    confusion: list[list[int]]
    trained_on: list[str]


class ClassifierRecord(TestedRecord):
    """How good a backbone's own classifier is on labelled photos.

    Keys
    ----
    split
        Of the data: ``test``, ``val`` or ``all``.
    top5
        The share whose class is among the five likeliest outputs, 0 to 1.
    classes, outputs
        Of the data, and of the classifier.
    matched_by
        How classes were found among the outputs.
    """

    backbone: BackboneRecord
    split: str
    top5: float
    classes: int
    outputs: int
    matched_by: str
