"""``edgetransfer report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetransfer.cli.completing import runs
from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.errors import UsageError
from edgetransfer.settings.shared import MovedBackbone, Threads

if TYPE_CHECKING:
    from edgetransfer.jobs.report import Comparison


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN…",
            autocompletion=runs,
            help="A run folder made by train or finetune; or several.",
        ),
    ],
    compare: Annotated[
        bool, typer.Option("--compare", help="Set the runs side by side, on the same photos.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="With --compare: write a page there."),
    ] = None,
    backbone: MovedBackbone = None,
    threads: Threads = None,
    json_output: JsonOption = False,
) -> None:
    """Write a run's report.html anew, or set runs side by side.

    The page has accuracy, confusion, mistakes, doubtful labels and a map of the photos, in one
    file that needs nothing beside it.

    Examples:

    edgetransfer report run

    edgetransfer report dense sparse --compare --out comparison.html
    """
    from edgetransfer.jobs.report import compared, write_comparison
    from edgetransfer.runs import RunFolder
    from edgetransfer.runs.owning import owned
    from edgetransfer.train.finished_run import page_anew

    show_log(json_output)
    if compare:
        if backbone is not None:
            raise UsageError("--backbone is for one run, not for --compare")
        with shown_progress() as progress:
            comparison = compared(runs, threads=threads, progress=progress)
        if out is not None:
            write_comparison(comparison, out)
        if json_output:
            print_json(comparison.to_dict())
        else:
            _show(comparison)
        return
    if out is not None:
        raise UsageError("--out is for --compare: a run's report.html lies in its folder")
    if len(runs) > 1:
        raise UsageError("several runs: --compare sets them side by side")
    RunFolder.open(runs[0])  # what is none gets no lock
    with owned(runs[0], "report"), shown_progress() as progress:
        path = page_anew(runs[0], backbone=backbone, threads=threads, progress=progress)
    if json_output:
        print_json({"page": str(path)})
    else:
        print_line(str(path))


def _show(comparison: Comparison) -> None:
    print_line(f"{comparison.runs[0].accuracy.count} photos ({comparison.method})")
    for run in comparison.runs:
        low, high = run.interval
        line = (
            f"{run.name}: {run.accuracy.top1:.1%} top-1 ({low:.1%} to {high:.1%}), "
            f"{run.accuracy.mean_per_class:.1%} mean per class, {run.facts['backbone']} "
            f"{run.facts['sparsity']:.1%} zeros, {run.facts['seconds']:.1f} s"
        )
        test = run.against_first
        if test is not None:
            line += (
                f"; alone right {test.only_second}, the first {test.only_first} (p {test.p:.3g})"
            )
        print_line(line)
