"""``edgetransfer predict``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetransfer.cli.meant import check_order
from edgetransfer.cli.options import JsonOption, Photos, QuietOption
from edgetransfer.cli.photos_given import photos_given
from edgetransfer.cli.terminal import print_json, print_line, say, show_log
from edgetransfer.errors import ImageError, UsageError
from edgetransfer.settings.predict import PredictSettings

if TYPE_CHECKING:
    from edgetransfer.train import Prediction


def predict(
    settings: PredictSettings,
    *,
    images: Photos,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print a table with commas to stdout, a photo a line.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write them there, as its ending says: .parquet, .jsonl or .csv.",
        ),
    ] = None,
    sort_into: Annotated[
        Path | None,
        typer.Option(
            "--sort-into",
            metavar="DIR",
            help="Copy each photo to DIR/its class; none is moved, none replaced.",
        ),
    ] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what photos show.

    Examples:

    edgetransfer predict run photo.jpg

    edgetransfer predict run folder/ other.png --top 1 --json

    edgetransfer predict run folder/ --csv > table.csv

    edgetransfer predict run folder/ --out predictions.parquet

    edgetransfer predict pets.onnx folder/ --sort-into sorted

    curl -s https://example.org/cat.jpg | edgetransfer predict run -
    """
    from edgetransfer.train import (
        Classifier,
        CommaTable,
        PhotoSorter,
        check_ending,
        prediction_file,
    )

    if json_output and csv:
        raise UsageError("--json and --csv exclude each other")
    show_log(json_output or quiet)
    check_order("predict", settings.run, images)
    if out is not None:
        check_ending("--out", out)
    sources = photos_given(images)
    if sort_into is not None and "-" in images:
        raise UsageError("--sort-into copies files, and standard input (-) is none")
    with ExitStack() as opened:
        classifier = opened.enter_context(
            Classifier.load(
                settings.run,
                backbone=settings.backbone,
                engine=settings.engine,
                threads=settings.threads,
                batch_size=min(64, len(sources)) if len(sources) < 16 else 64,
                unknown_below=settings.unknown_below,
            )
        )
        classes = classifier.head.classes
        top = min(settings.top, len(classes))
        sorter = None if sort_into is None else PhotoSorter(sort_into, classes)
        table = CommaTable(sys.stdout, top) if csv else None
        kept = None if out is None else opened.enter_context(prediction_file(out, top))
        predictions, failed = [], 0
        for prediction in classifier.predict_each(sources, top=settings.top):
            failed += prediction.error is not None
            if sorter is not None and prediction.error is None:
                sorter.put(
                    Path(prediction.id), None if prediction.unknown else prediction.classes[0]
                )
            if kept is not None:
                kept(prediction)
            if table is not None:
                table.write(prediction)
            elif json_output:
                predictions.append(prediction)
            elif kept is None:
                _show(prediction)
    if json_output:
        print_json({"predictions": [p.to_dict() for p in predictions]})
    if not quiet:
        if sort_into is not None:
            say(f"{len(sources) - failed} photos copied to {sort_into}")
        if out is not None:
            say(f"{len(sources)} predictions written to {out}")
    if failed:
        raise ImageError(f"{failed} of {len(sources)} images could not be decoded")


def _show(prediction: Prediction) -> None:
    if prediction.error is not None:
        say(f"{prediction.id}: {prediction.error}")
        return
    named = "  ".join(
        f"{name} {p:.1%}"
        for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
    )
    print_line(f"{prediction.id}  {'unknown: ' if prediction.unknown else ''}{named}")
