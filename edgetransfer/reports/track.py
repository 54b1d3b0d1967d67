"""The report of ``track``."""

from __future__ import annotations

from typing import TypedDict


class TrackRecord(TypedDict):
    """The report of ``track``.

    Keys
    ----
    out
        Where it was written to.
    lines
        Of ``metrics.jsonl`` that were handed on.
    values
        Numbers in them.
    """

    run: str
    to: str
    out: str
    lines: int
    values: int
