"""The report of ``predict``."""

from __future__ import annotations

from typing import TypedDict


class PredictionRecord(TypedDict):
    """What a photo shows.

    Keys
    ----
    classes, probabilities
        The likeliest first.
    error
        Why it could not be used; null if it could.
    unknown
        Whether it probably shows none of the classes.
    """

    id: str
    classes: list[str]
    probabilities: list[float]
    error: str | None
    unknown: bool


class PredictRecord(TypedDict):
    """The report of ``predict``."""

    predictions: list[PredictionRecord]
