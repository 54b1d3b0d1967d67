"""``edgetransfer export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.cli.completing import runs
from edgetransfer.cli.options import JsonOption, QuietOption
from edgetransfer.cli.terminal import print_json, say, show_log
from edgetransfer.settings.shared import MovedBackbone, UnknownBelow


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            autocompletion=runs,
            help="A run folder made by train, finetune or stream; or an export.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR|FILE.onnx",
            help="One ONNX file with a script beside it, or a new folder.",
        ),
    ],
    merge_head: Annotated[
        bool,
        typer.Option(
            "--merge-head",
            help="Of a folder: also model.onnx, from images to probabilities, and the script.",
        ),
    ] = False,
    preprocessing_inside: Annotated[
        bool,
        typer.Option(
            "--preprocessing-inside",
            help="The ONNX file takes resized, cropped uint8 images (n, height, width, 3) and "
            "normalises by itself.",
        ),
    ] = False,
    unknown_below: UnknownBelow = None,
    backbone: MovedBackbone = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write what a run learned as one ONNX file, or as a folder, to be given away.

    It is compared with the run on the run's own photos first. A stream may run meanwhile.

    Examples:

    edgetransfer export run --out pets.onnx

    edgetransfer export run --out model --merge-head

    edgetransfer predict model photo.jpg
    """
    from edgetransfer.jobs.exporting import export as export_run

    show_log(json_output or quiet)
    report = export_run(
        run,
        out,
        merge_head=merge_head,
        preprocessing_inside=preprocessing_inside,
        unknown_below=unknown_below,
        backbone=backbone,
    )
    if json_output:
        print_json(report)
        return
    if quiet:
        return
    verified = report["verified"]
    for name, why in verified["cannot"].items():
        say(f"not compared in {name}: {why}")
    differences = ", ".join(f"{n} {d:.0e}" for n, d in verified["difference"].items())
    say(f"compared   on {verified['on']}; largest difference of a probability: {differences}")
    learned = f", {report['learned']} samples learned" if "learned" in report else ""
    say(
        f"saved in {out}: {report['classes']} classes{learned}, {report['zeros']:,} weights are "
        f"zero; {', '.join(report['files'])}"
    )
