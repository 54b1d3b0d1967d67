"""The report of ``check``."""

from __future__ import annotations

from typing import TypedDict


class CheckRecord(TypedDict):
    """How a stream's run was found.

    Keys
    ----
    accepted
        Samples that are whole.
    running
        Whether somebody writes to it just now.
    findings
        What is wrong, each with its file.
    """

    accepted: int
    running: bool
    findings: list[str]
