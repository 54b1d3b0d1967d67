"""``edgetransfer demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.shared import Threads

if TYPE_CHECKING:
    from edgetransfer.reports.demo import DemoRecord


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where images and runs go.")
    ] = Path("edgetransfer-demo"),
    threads: Threads = None,
    json_output: JsonOption = False,
) -> None:
    """Train on handwritten digits with a bundled sparse backbone, in under two minutes, offline.

    The same epoch with its dense twin, whose zeros are numbers, shows what they save here.

    Examples:

    edgetransfer demo

    edgetransfer demo --out /tmp/demo --json
    """
    from edgetransfer.jobs.demo import run_demo

    show_log(json_output)
    with shown_progress() as progress:
        result = run_demo(out, threads=threads, progress=progress)
    if json_output:
        print_json(result)
    else:
        _show(result, out)


def _show(result: DemoRecord, out: Path) -> None:
    backbone = result["backbone"]
    print_line("")
    print_line(
        f"{backbone['name']}: {backbone['sparsity']:.1%} of its weights are zero; "
        f"engine {result['engine']['name']}"
    )
    print_line(f"{result['n_train']} handwritten digits to train on, {result['n_test']} to test on")
    online, cached = result["online"], result["cached"]
    print_line(
        f"SGD, online with augmentation:  {online['mean_per_class']:.1%} mean per class, "
        f"{online['epochs']} epochs of {online['seconds_per_epoch']:.2f} s "
        f"({online['images_per_second']:,.0f} images/s)"
    )
    twin = result["dense_twin"]
    print_line(
        f"the same with its dense twin:   epochs of {twin['seconds_per_epoch']:.2f} s "
        f"({twin['images_per_second']:,.0f} images/s): its zeros make an epoch "
        f"{result['speedup']:.2f} times as fast here"
    )
    print_line(
        f"L-BFGS on cached features:      {cached['mean_per_class']:.1%} mean per class, "
        f"{cached['seconds']:.1f} s in all"
    )
    for prediction in result["predictions"]:
        right = "right" if prediction["predicted"] == prediction["true"] else "WRONG"
        print_line(
            f"  {prediction['image']}: {prediction['predicted']} "
            f"({prediction['probability']:.0%}), {right}"
        )
    print_line(f"everything is in {out}; now your own photos:")
    print_line("  edgetransfer train --data FOLDER --out run")
