"""``edgetransfer evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.cli.meant import check_order
from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, say, show_log, shown_progress
from edgetransfer.errors import UsageError
from edgetransfer.settings.shared import MAX_BAD, Engine, MaxBad, Threads

WORST = 5


def evaluate(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="A run folder made by train.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="Labelled images: class folders or a manifest.",
            show_default=False,
        ),
    ] = None,
    classifier: Annotated[
        bool,
        typer.Option(
            "--classifier",
            help="Test the backbone's own classifier, such as ImageNet's; needs --backbone and "
            "--data in place of a run.",
        ),
    ] = False,
    labelled: Annotated[
        Path | None,
        typer.Option("--data", "-d", metavar="DIR|FILE", help="Labelled images, for --classifier."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="For --classifier: the name of each output, one a line; ImageNet's are known.",
        ),
    ] = None,
    training_photos: Annotated[
        bool,
        typer.Option("--training-photos", help="Test on photos that the run was trained on, too."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write an HTML page there, with the mistakes and what is doubtful. Of a run.",
        ),
    ] = None,
    max_bad: MaxBad = MAX_BAD,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="FILE|NAME",
            help="Where the run's backbone is now, if it was moved; or what --classifier tests.",
        ),
    ] = None,
    engine: Engine = "auto",
    threads: Threads = None,
    json_output: JsonOption = False,
) -> None:
    """Test a trained run, or a backbone's own classifier, on labelled images.

    Examples:

    edgetransfer evaluate run photos/test

    edgetransfer evaluate run test.csv --json

    edgetransfer evaluate run photos/test --out test.html

    edgetransfer evaluate --classifier --backbone net.onnx --data imagenet/val
    """
    show_log(json_output)
    if classifier:
        if run is not None or backbone is None or labelled is None:
            raise UsageError("--classifier needs --backbone NET and --data LABELLED, and no run")
        if out is not None:
            raise UsageError("--out is for a run, not for --classifier")
        _evaluate_classifier(
            backbone,
            labelled,
            labels=labels,
            max_bad=max_bad,
            engine=engine,
            threads=threads,
            json_output=json_output,
        )
        return
    data = data or labelled
    if run is None or data is None:
        raise UsageError("give a run and its DATA; or --classifier, --backbone and --data")
    check_order("evaluate", run, [data])
    if labels is not None:
        raise UsageError("--labels is for --classifier: a run knows its classes")
    _evaluate_run(
        run,
        data,
        training_photos=training_photos,
        out=out,
        max_bad=max_bad,
        backbone=backbone,
        engine=engine,
        threads=threads,
        json_output=json_output,
    )


def _evaluate_run(
    run: Path,
    data: Path,
    *,
    training_photos: bool,
    out: Path | None,
    max_bad: float,
    backbone: str | None,
    engine: str,
    threads: int | None,
    json_output: bool,
) -> None:
    from edgetransfer.train import Classifier

    with (
        Classifier.load(run, backbone=backbone, engine=engine, threads=threads) as classifier,
        shown_progress() as progress,
    ):
        result = classifier.evaluate(
            data, training_photos=training_photos, max_bad=max_bad, page=out, progress=progress
        )
    if json_output:
        print_json(result)
        return
    say(f"top-1           {result['top1']:.1%}")
    say(f"mean per class  {result['mean_per_class']:.1%}")
    say(f"images          {result['n']}, {len(result['skipped'])} skipped")
    if result["trained_on"]:
        say(f"left out        {len(result['trained_on'])} that the run was trained on")
    if out is not None:
        say(f"page            {out}")
    say("hardest classes:")
    for name, value in sorted(result["per_class"].items(), key=lambda item: item[1])[:WORST]:
        say(f"  {value:6.1%}  {name}")


def _evaluate_classifier(
    backbone: str,
    data: Path,
    *,
    labels: Path | None,
    max_bad: float,
    engine: str,
    threads: int | None,
    json_output: bool,
) -> None:
    from edgetransfer.train.upstream import UpstreamTest, evaluate_upstream

    test = UpstreamTest(data=data, labels=labels, engine=engine, threads=threads, max_bad=max_bad)
    with shown_progress() as progress:
        result = evaluate_upstream(backbone, test, progress)
    if json_output:
        print_json(result)
        return
    say(f"top-1           {result['top1']:.1%}")
    say(f"top-5           {result['top5']:.1%}")
    say(f"mean per class  {result['mean_per_class']:.1%}")
    say(f"images          {result['n']} ({result['split']}), {len(result['skipped'])} skipped")
    say(
        f"classes         {result['classes']} of {result['outputs']} outputs, by "
        f"{result['matched_by']}"
    )
