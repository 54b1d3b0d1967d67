"""Options that several commands share and that are no settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.completing import runs
from edgetransfer.cli.terminal import be_quiet
from edgetransfer.errors import UsageError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only results and warnings, nothing else.")
]
Photos = Annotated[
    list[str],
    typer.Argument(metavar="IMAGE…", help="Files or folders; - reads one image from stdin."),
]
StreamRun = Annotated[
    Path,
    typer.Argument(metavar="RUN", autocompletion=runs, help="A run folder made by stream."),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Start anew in an existing run folder.")
]


def with_quiet(command: Callable[..., None]) -> Callable[..., None]:
    """The command with ``--quiet``, if it has none of its own."""
    signature = inspect.signature(command)
    own = "quiet" in signature.parameters

    @functools.wraps(command)
    def run(**typed: Any) -> None:
        be_quiet(typed["quiet"])
        command(**(typed if own else {name: typed[name] for name in typed if name != "quiet"}))

    if not own:
        quiet = inspect.Parameter(
            "quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=QuietOption
        )
        parameters = [*signature.parameters.values(), quiet]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {**command.__annotations__, "quiet": QuietOption}
    return run


def check_resume(*, resume: bool, overwrite: bool) -> None:
    """Refuse two wishes that exclude each other."""
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
