"""``edgetransfer tune``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.tune import Tuning

if TYPE_CHECKING:
    from edgetransfer.reports.machine import TuneRecord


def tune(settings: Tuning, *, json_output: JsonOption = False) -> None:
    """Measure which engine, and how much of everything, is fastest for a backbone here.

    The answer is kept in your cache folder; train, predict, inspect and stream use it.

    Examples:

    edgetransfer tune net.onnx

    edgetransfer tune net.onnx --data photos --json
    """
    from edgetransfer.jobs.tune import tune_backbone

    show_log(json_output)
    with shown_progress() as progress:
        result = tune_backbone(settings, progress)
    if json_output:
        print_json(result)
    else:
        _show(result)


def _show(result: TuneRecord) -> None:
    backbone, machine, plan = result["backbone"], result["machine"], result["plan"]
    print_line(f"backbone   {backbone['name']}, {backbone['sparsity']:.1%} of its weights zero")
    print_line(f"machine    {machine['cpu']}, {machine['cores']} cores")
    print_line("")
    print_line("engine alone       images/s")
    for row in result["engines"]:
        if row["images_per_second"] is None:
            print_line(f"  {row['name']:<16} {'none':>8}  {row['reason']}")
            continue
        note = f"  in {row['reduced']}: only if asked for by name" if row["reduced"] else ""
        print_line(f"  {row['name']:<16} {row['images_per_second']:8.1f}{note}")
    print_line("")
    print_line("decoding and all   images/s  streams  batch  workers  pinned")
    for trial in result["trials"]:
        pinned = "yes" if trial["pinned"] else "no"
        print_line(
            f"  {trial['engine']:<16} {trial['images_per_second']:8.1f}  {trial['streams']:7}  "
            f"{trial['batch_size']:5}  {trial['workers']:7}  {pinned:>6}"
        )
    print_line("")
    print_line(
        f"plan       {plan['engine']}, {plan['streams']} stream{'s'[: plan['streams'] - 1]}, "
        f"batches of {plan['batch_size']}, {plan['workers']} decoding threads"
        + (", pinned" if plan["pinned"] else "")
    )
    print_line(f"kept in    {result['file']} ({result['seconds']:.0f} s)")
