"""``edgetransfer rollback``, ``forget`` and ``export``: a stream's run, looked at and mended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, say, show_log
from edgetransfer.errors import UsageError

StreamRun = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder made by stream.")]


def rollback(
    run: StreamRun,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="N|TIME",
            help="Accepted samples, or a local time such as 2025-03-01T12:00.",
        ),
    ],
    json_output: JsonOption = False,
) -> None:
    """Return a stream's run to an earlier checkpoint; later samples may be sent again.

    Examples:

    edgetransfer rollback run --to 20000

    edgetransfer rollback run --to 2025-03-01T12:00
    """
    from edgetransfer.online import rollback as roll_back

    show_log(json_output)
    state = roll_back(run, to)
    if json_output:
        print_json({"accepted": state.accepted, "time": state.time})
    else:
        say(f"{run} is back at {state.accepted} accepted samples")


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

    Examples:

    edgetransfer forget run --id camera/0017.jpg

    edgetransfer forget run --class "a mistake"
    """
    from edgetransfer.online import forget as forget_samples

    show_log(json_output)
    result = forget_samples(run, ids=frozenset(id or ()), classes=frozenset(class_ or ()))
    if json_output:
        print_json(result)
    else:
        say(f"removed {result['removed']} rows; {result['classes']} classes stay")


def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder made by stream or finetune.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    merge_head: Annotated[
        bool,
        typer.Option(
            "--merge-head",
            help="Of a finetuning: also model.onnx, from images to probabilities.",
        ),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Write what a run learned: a stream's newest checkpoint, or a finetuned sparse backbone.

    Of a stream, which may run meanwhile: head, labels and report. Of a finetuning: the sparse
    ONNX file with its card too.

    Examples:

    edgetransfer export run --out model

    edgetransfer export finetuned --out model --merge-head

    edgetransfer predict model photo.jpg
    """
    from edgetransfer.reports import RunFolder

    show_log(json_output)
    if RunFolder.open(run).is_finetuning:
        from edgetransfer.finetune import export_run

        report = export_run(run, out, merge_head=merge_head)
    else:
        from edgetransfer.online import export as export_head

        if merge_head:
            raise UsageError("--merge-head is of a finetuning; a stream's backbone stays as it is")
        report = export_head(run, out)
    if json_output:
        print_json(report)
        return
    learned = f", {report['learned']} samples learned" if "learned" in report else ""
    say(f"saved in {out}: {report['classes']} classes{learned}")
