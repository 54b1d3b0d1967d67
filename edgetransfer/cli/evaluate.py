"""``edgetransfer evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.cli.options import (
    EngineOption,
    JsonOption,
    MaxBadOption,
    MovedBackbone,
    RunArgument,
    ThreadsOption,
)
from edgetransfer.cli.terminal import print_json, say, show_log, shown_progress

WORST = 5


def evaluate(
    run: RunArgument,
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Labelled images: class folders or a manifest.")
    ],
    training_photos: Annotated[
        bool,
        typer.Option("--training-photos", help="Test on photos that the run was trained on, too."),
    ] = False,
    max_bad: MaxBadOption = 0.05,
    backbone: MovedBackbone = None,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    json_output: JsonOption = False,
) -> None:
    """Test a trained run on labelled images.

    Examples
    --------
      edgetransfer evaluate run photos/test

      edgetransfer evaluate run test.csv --json
    """
    from edgetransfer.linear import Classifier

    show_log(json_output)
    with (
        Classifier.load(run, backbone=backbone, engine=engine, threads=threads) as classifier,
        shown_progress() as progress,
    ):
        result = classifier.evaluate(
            data, training_photos=training_photos, max_bad=max_bad, progress=progress
        )
    if json_output:
        print_json(result)
        return
    say(f"top-1           {result['top1']:.1%}")
    say(f"mean per class  {result['mean_per_class']:.1%}")
    say(f"images          {result['n']}, {len(result['skipped'])} skipped")
    if result["trained_on"]:
        say(f"left out        {len(result['trained_on'])} that the run was trained on")
    say("hardest classes:")
    for name, value in sorted(result["per_class"].items(), key=lambda item: item[1])[:WORST]:
        say(f"  {value:6.1%}  {name}")
