"""Options that several commands share and that are no settings."""

from __future__ import annotations

from typing import Annotated

import typer

from edgetransfer.errors import UsageError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only results and warnings, nothing else.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Start anew in an existing run folder.")
]


def check_resume(*, resume: bool, overwrite: bool) -> None:
    """Refuse two wishes that exclude each other."""
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
