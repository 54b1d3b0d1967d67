"""The report of ``export``."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class VerifiedRecord(TypedDict):
    """What an export was compared with.

    Keys
    ----
    on
        Which photos.
    difference
        Of probabilities from the run's own, by engine.
    cannot
        Why an engine could not run it.
    """

    on: str
    difference: dict[str, float]
    cannot: dict[str, str]


class ExportRecord(TypedDict):
    """The report of ``export``.

    Keys
    ----
    classes, zeros
        How many.
    unknown_below
        Probability, 0 to 1, below which a photo shows none of the classes.
    merged_difference
        Of the whole network from backbone and head apart; null where they were not merged.
    accepted, learned
        Of a stream's run: its samples.
    """

    run: str
    out: str
    classes: int
    sparsity: float
    zeros: int
    unknown_below: float | None
    verified: VerifiedRecord
    merged_difference: float | None
    files: list[str]
    accepted: NotRequired[int]
    learned: NotRequired[int]
