"""The reports of ``report``: where the page is, or runs side by side."""

from __future__ import annotations

from typing import TypedDict

from edgetransfer.reports.shared import Accuracies


class PageRecord(TypedDict):
    """Where the page is."""

    page: str


class PairedRecord(TypedDict):
    """Photos that one of two runs alone has right, and the p of McNemar's test."""

    only_first: int
    only_this: int
    p: float


class RunFactsRecord(TypedDict):
    """How a run was made.

    Keys
    ----
    seconds
        Of its training.
    """

    backbone: str
    sparsity: float
    engine: str
    solver: str | None
    epochs: int
    seconds: float
    stages: dict[str, float]


class ComparedRecord(RunFactsRecord, Accuracies):
    """One of several runs.

    Keys
    ----
    interval
        Of `top1`, 95 %.
    against_first
        How it differs from the first run; null of that one.
    """

    run: str
    interval: list[float]
    per_class: dict[str, float]
    against_first: PairedRecord | None


class ComparisonRecord(TypedDict):
    """Runs on the same photos.

    Keys
    ----
    split, method
        What they were tested on, and how.
    n
        How many photos.
    """

    split: str
    method: str
    n: int
    runs: list[ComparedRecord]
