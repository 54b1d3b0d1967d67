"""``edgetransfer rollback``, ``forget`` and ``relabel``: a stream's run, looked at and mended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.cli.options import JsonOption, StreamRun
from edgetransfer.cli.terminal import print_json, print_line, show_log
from edgetransfer.errors import DataError, UsageError


def rollback(
    run: StreamRun,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="N|TIME",
            help="Accepted samples, or a local time such as 2025-03-01T12:00.",
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Only show the checkpoints that there are.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Return a stream's run to an earlier moment; later samples may be sent again.

    What the run held is set aside in its folder, not deleted.

    Examples:

    edgetransfer rollback run --list

    edgetransfer rollback run --to 20000 --dry-run

    edgetransfer rollback run --to 2025-03-01T12:00
    """
    from edgetransfer.stream import rollback as roll_back

    show_log(json_output)
    if list_ == (to is not None):
        raise UsageError("where to? give --to N|TIME, or --list to see what there is")
    if to is None:
        _show_states(run, json_output)
        return
    back = roll_back(run, to, dry_run=dry_run)
    if json_output:
        print_json({**vars(back), "aside": None if back.aside is None else str(back.aside)})
        return
    verb = "would be" if dry_run else "is"
    print_line(f"{run} {verb} back at {back.accepted} accepted samples; {back.leaving} leave it")
    if back.aside is not None:
        print_line(f"set aside in {back.aside}; delete it when you do not need it any more")


def _show_states(run: Path, json_output: bool) -> None:
    from datetime import datetime

    from edgetransfer.stream import saved_states

    states = [{"accepted": s.accepted, "time": s.time} for s in saved_states(run)]
    if json_output:
        print_json(states)
        return
    for state in states:
        print_line(
            f"{state['accepted']:>12}  {datetime.fromtimestamp(state['time']):%Y-%m-%d %H:%M:%S}"
        )
    if not states:
        print_line("no checkpoint is whole")


def forget(
    run: StreamRun,
    id: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="A sample; may be repeated.")
    ] = None,
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="CLASS", help="All of a class; may be repeated."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Remove samples from a stream's memory for good, and fit the head to what stays.

    A stream that is running does it itself, between two samples, if it learns by statistics.

    Examples:

    edgetransfer forget run --id camera/0017.jpg

    edgetransfer forget run --class "a mistake"
    """
    from edgetransfer.stream import forget as forget_samples

    show_log(json_output)
    result = forget_samples(run, ids=frozenset(id or ()), classes=frozenset(class_ or ()))
    if json_output:
        print_json(result)
    else:
        print_line(f"removed {result['removed']} rows; {result['classes']} classes stay")


def relabel(
    run: StreamRun,
    to: Annotated[str, typer.Option("--to", metavar="CLASS", help="The label, new or not.")],
    id: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="A sample; may be repeated.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Give samples of a stream another label, as if they had always had it.

    A stream that is running does it itself, if it learns by statistics.

    It ends in 3 if a sample stays as it was, which is named; the others are changed.

    Examples:

    edgetransfer relabel run --id camera/0017.jpg --to fox
    """
    from edgetransfer.stream import relabel as relabel_samples

    show_log(json_output)
    result = relabel_samples(run, tuple(id or ()), to)
    if json_output:
        print_json(result)
    else:
        print_line(f"relabelled {result['changed']}; {result['unchanged']} had this label before")
    if result["refused"]:
        first, why = next(iter(result["refused"].items()))
        raise DataError(
            f"{run}: {len(result['refused'])} samples stay as they were; {first!r}: {why}"
        )
