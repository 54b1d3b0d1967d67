"""``edgetransfer evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgetransfer.cli.meant import check_order
from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.errors import UsageError
from edgetransfer.settings.evaluate import ClassifierTest, RunTest
from edgetransfer.settings.option import Opt

WORST = 5


def evaluate(
    test: RunTest,
    own: ClassifierTest,
    *,
    run: Annotated[
        Path | None,
        Opt("A run folder made by train.", metavar="[RUN]", positional=True),
    ] = None,
    data: Annotated[
        Path | None,
        Opt("Labelled images: class folders or a manifest.", metavar="[DATA]", positional=True),
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
        if run is not None or test.backbone is None or labelled is None:
            raise UsageError("--classifier needs --backbone NET and --data LABELLED, and no run")
        if test.page is not None:
            raise UsageError("--out is for a run, not for --classifier")
        _evaluate_classifier(test.backbone, labelled, own, json_output)
        return
    data = data or labelled
    if run is None or data is None:
        raise UsageError("give a run and its DATA; or --classifier, --backbone and --data")
    check_order("evaluate", run, [data])
    if own.labels is not None:
        raise UsageError("--labels is for --classifier: a run knows its classes")
    _evaluate_run(run, data, test, json_output)


def _evaluate_run(run: Path, data: Path, test: RunTest, json_output: bool) -> None:
    from edgetransfer.train import Classifier

    with (
        Classifier.load(
            run, backbone=test.backbone, engine=test.engine, threads=test.threads
        ) as classifier,
        shown_progress() as progress,
    ):
        result = classifier.evaluate(
            data,
            training_photos=test.training_photos,
            max_bad=test.max_bad,
            page=test.page,
            progress=progress,
        )
    if json_output:
        print_json(result)
        return
    print_line(f"top-1           {result['top1']:.1%}")
    print_line(f"mean per class  {result['mean_per_class']:.1%}")
    print_line(f"images          {result['n']}, {len(result['skipped'])} skipped")
    if result["trained_on"]:
        print_line(f"left out        {len(result['trained_on'])} that the run was trained on")
    if test.page is not None:
        print_line(f"page            {test.page}")
    print_line("hardest classes:")
    for name, value in sorted(result["per_class"].items(), key=lambda item: item[1])[:WORST]:
        print_line(f"  {value:6.1%}  {name}")


def _evaluate_classifier(
    backbone: str, data: Path, test: ClassifierTest, json_output: bool
) -> None:
    from edgetransfer.train.upstream import evaluate_upstream

    with shown_progress() as progress:
        result = evaluate_upstream(backbone, data, test, progress)
    if json_output:
        print_json(result)
        return
    print_line(f"top-1           {result['top1']:.1%}")
    print_line(f"top-5           {result['top5']:.1%}")
    print_line(f"mean per class  {result['mean_per_class']:.1%}")
    print_line(
        f"images          {result['n']} ({result['split']}), {len(result['skipped'])} skipped"
    )
    print_line(
        f"classes         {result['classes']} of {result['outputs']} outputs, by "
        f"{result['matched_by']}"
    )
