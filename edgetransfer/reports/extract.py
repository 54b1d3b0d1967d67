"""The report of ``extract``."""

from __future__ import annotations

from typing import TypedDict

from edgetransfer.reports.shared import SkippedRecord


class ExtractionRecord(TypedDict):
    """The report of ``extract``.

    Keys
    ----
    photos, tables, bytes
        Of this member of a job array: those that were there too.
    photos_in_all, tables_in_all
        Of all members.
    tables_made
        By this call.
    problems
        Photos that have no features, and why.
    """

    out: str
    backbone: str
    engine: str
    dimension: int
    dtype: str
    classes: int
    photos: int
    photos_in_all: int
    tables: int
    tables_in_all: int
    tables_made: int
    bytes: int
    problems: list[SkippedRecord]
