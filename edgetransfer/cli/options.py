"""Options that several commands share and that are no settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.errors import UsageError

MovedBackbone = Annotated[
    str | None,
    typer.Option(
        "--backbone", metavar="FILE", help="Where the run's backbone is now, if it was moved."
    ),
]
RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|EXPORT",
        help="A run folder made by train, finetune or stream, or what export made of one.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only results and warnings, nothing else.")
]
UnknownOption = Annotated[
    float | None,
    typer.Option(
        "--unknown-below",
        metavar="P",
        help="Where no class reaches this probability, a photo shows none of them.",
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Start anew in an existing run folder.")
]


def check_resume(*, resume: bool, overwrite: bool) -> None:
    """Refuse two wishes that exclude each other."""
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
