"""The report of ``search``."""

from __future__ import annotations

from typing import TypedDict


class NearRecord(TypedDict):
    """A photo that was found.

    Keys
    ----
    similarity
        Cosine of the angle between the features, -1 to 1.
    """

    id: str
    label: str
    split: str
    similarity: float


class QueryRecord(TypedDict):
    """A photo that was asked for.

    Keys
    ----
    nearest
        The most similar first.
    """

    id: str
    nearest: list[NearRecord]


class SearchRecord(TypedDict):
    """The report of ``search``.

    Keys
    ----
    photos
        How many were searched.
    """

    source: str
    photos: int
    queries: list[QueryRecord]
