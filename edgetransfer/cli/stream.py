"""``edgetransfer stream``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.stopping import graceful
from edgetransfer.cli.stream_panel import shown_stream
from edgetransfer.cli.terminal import print_json, print_line, say, show_log
from edgetransfer.confidential import without_secrets
from edgetransfer.settings.option import Opt
from edgetransfer.settings.stream import SOURCE, StreamSettings

if TYPE_CHECKING:
    from edgetransfer.reports.stream import StreamRecord


def stream(
    settings: StreamSettings,
    *,
    acknowledge: Annotated[
        bool,
        Opt("Answer each JSON line with one on stdout, once it is on disk.", panel=SOURCE),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Learn from images as they arrive, for weeks, and lose nothing.

    It goes on where the run stopped; SIGTERM or Ctrl-C finishes what is in hand and saves.

    Examples:

    edgetransfer stream --source folder:incoming --out run

    producer | edgetransfer stream --source jsonl:- --out run --json

    edgetransfer stream --source http:8080 --out run

    edgetransfer stream --source folder:incoming --source http:8080 --out run

    edgetransfer stream --source 'tar:shards/*.tar' --repeat --views 1 --out run

    edgetransfer stream --source data:features --test-data features --out run
    """
    from edgetransfer.stream import run_stream

    show_log(json_output)
    with (
        graceful() as stopping,
        shown_stream(", ".join(map(without_secrets, settings.source))) as watch,
    ):
        report = run_stream(
            settings,
            stop=stopping.event,
            watch=watch,
            acknowledge=print_json if acknowledge else None,
        )
    if json_output:
        print_json(report)
    else:
        # Whoever reads acknowledgements expects nothing else on stdout.
        _show(report, settings.out, say if acknowledge else print_line)
    if stopping.interrupted:
        raise KeyboardInterrupt


def _show(report: StreamRecord, out: Path, tell: Callable[[str], None]) -> None:
    tell(f"accepted   {report['accepted']} samples, {report['refused']} refused just now")
    tell(f"classes    {report['classes']}")
    scores = {"test-then-train": report["prequential"], "test": report["final"]}
    for title, score in scores.items():
        if score and score["top1"] is not None:
            tell(
                f"{title:<16}{score['top1']:.1%} top-1, "
                f"{score['mean_per_class']:.1%} mean per class"
            )
    for name, score in report.get("test_then_train", {}).items():
        if score["top1"] is not None:
            now = f", answers now, after {report['switches']} changes"
            tell(f"  {name:<14}{score['top1']:.1%} top-1{now * (name == report['answers'])}")
    if report.get("known", report["learned"]) < report["learned"]:
        tell(f"known      the last {report['known']} of {report['learned']} learned samples")
    left_out = report["left_out"]
    if left_out is not None and left_out["interval"] is not None:
        low, high = left_out["interval"]
        tell(
            f"left out        {left_out['top1']:.1%} top-1 of {left_out['n']:,} samples, each by a "
            f"head without it ({low:.1%} to {high:.1%})"
        )
    if (sent := report.get("webhook")) is not None:
        waiting = f"; {sent['waiting_bytes']:,} bytes wait" if sent["waiting_bytes"] else ""
        tell(f"webhook    {sent['delivered']:,} predictions delivered{waiting}")
    if (kept := report.get("prediction_tables")) is not None:
        waiting = f"; {kept['waiting_bytes']:,} bytes wait" if kept["waiting_bytes"] else ""
        tell(f"predicted  {kept['written']:,} written to {kept['folder']}{waiting}")
    tell(f"speed      {report['samples_per_second']:,.0f} samples/s")
    tell(f"saved in   {out}; the same command goes on")
