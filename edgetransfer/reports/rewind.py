"""The reports of ``rollback`` and ``forget``."""

from __future__ import annotations

from typing import TypedDict

from edgetransfer.reports.stream import StandingRecord


class RollbackRecord(TypedDict):
    """What a rollback did, or would do.

    Keys
    ----
    accepted
        Samples that the run holds now.
    time
        Of the last of them, in seconds since 1970.
    leaving
        Samples that it held beside them.
    aside
        The folder that holds what was there before; null if nothing was changed.
    """

    accepted: int
    time: float
    leaving: int
    aside: str | None


class RelabelRecord(StandingRecord):
    """How a stream's run stands once samples of it have another label.

    Keys
    ----
    changed, unchanged
        How many have another label now, and how many had this one.
    refused
        Why the others stayed as they were, by id.
    """

    changed: int
    unchanged: int
    refused: dict[str, str]


class ForgetRecord(StandingRecord):
    """How a stream's run stands once samples were taken out of it.

    Keys
    ----
    removed
        Samples that were.
    """

    removed: int
