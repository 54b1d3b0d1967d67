"""``edgetransfer predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetransfer.cli.meant import check_order
from edgetransfer.cli.options import JsonOption, QuietOption
from edgetransfer.cli.photos_given import photos_given
from edgetransfer.cli.terminal import print_json, print_line, say, show_log
from edgetransfer.errors import ImageError, UsageError
from edgetransfer.names import readable
from edgetransfer.settings.shared import (
    TOP,
    Engine,
    MovedBackbone,
    Threads,
    Top,
    TrainedRun,
    UnknownBelow,
)

if TYPE_CHECKING:
    from edgetransfer.train import Prediction


def predict(
    run: TrainedRun,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE…", help="Files or folders; - reads one image from stdin."),
    ],
    top: Top = TOP,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print a table with commas to stdout, a photo a line.")
    ] = False,
    sort_into: Annotated[
        Path | None,
        typer.Option(
            "--sort-into",
            metavar="DIR",
            help="Copy each photo to DIR/its class; none is moved, none replaced.",
        ),
    ] = None,
    unknown_below: UnknownBelow = None,
    backbone: MovedBackbone = None,
    engine: Engine = "auto",
    threads: Threads = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what photos show.

    Examples:

    edgetransfer predict run photo.jpg

    edgetransfer predict run folder/ other.png --top 1 --json

    edgetransfer predict run folder/ --csv > table.csv

    edgetransfer predict pets.onnx folder/ --sort-into sorted

    curl -s https://example.org/cat.jpg | edgetransfer predict run -
    """
    from edgetransfer.train import Classifier, PhotoSorter

    if json_output and csv:
        raise UsageError("--json and --csv exclude each other")
    show_log(json_output or quiet)
    check_order("predict", run, images)
    sources = photos_given(images)
    if sort_into is not None and "-" in images:
        raise UsageError("--sort-into copies files, and standard input (-) is none")
    with Classifier.load(
        run,
        backbone=backbone,
        engine=engine,
        threads=threads,
        batch_size=min(64, len(sources)) if len(sources) < 16 else 64,
        unknown_below=unknown_below,
    ) as classifier:
        sorter = None if sort_into is None else PhotoSorter(sort_into, classifier.head.classes)
        table = _Table(min(top, len(classifier.head.classes))) if csv else None
        predictions = []
        for prediction in classifier.predict_each(sources, top=top):
            predictions.append(prediction)
            if sorter is not None and prediction.error is None:
                sorter.put(
                    Path(prediction.id), None if prediction.unknown else prediction.classes[0]
                )
            if table is not None:
                table.write(prediction)
            elif not json_output:
                _show(prediction)
    if json_output:
        print_json({"predictions": [p.to_dict() for p in predictions]})
    failed = [p for p in predictions if p.error is not None]
    if sort_into is not None and not quiet:
        say(f"{len(predictions) - len(failed)} photos copied to {sort_into}")
    if failed:
        raise ImageError(f"{len(failed)} of {len(predictions)} images could not be decoded")


def _show(prediction: Prediction) -> None:
    if prediction.error is not None:
        say(f"{prediction.id}: {prediction.error}")
        return
    named = "  ".join(
        f"{name} {p:.1%}"
        for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
    )
    print_line(f"{prediction.id}  {'unknown: ' if prediction.unknown else ''}{named}")


class _Table:
    """A line a photo, on stdout: the photo, its classes and their probabilities."""

    def __init__(self, top: int) -> None:
        import csv

        self._top = top
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        ranks = ["" if i == 0 else f"_{i + 1}" for i in range(top)]
        columns = [f"{name}{rank}" for rank in ranks for name in ("class", "probability")]
        self._writer.writerow(["photo", *columns, "unknown", "error"])

    def write(self, prediction: Prediction) -> None:
        found: list[str] = []
        for name, p in zip(prediction.classes, prediction.probabilities, strict=True):
            found += [readable(name), f"{p:.6f}"]
        found += [""] * (2 * self._top - len(found))
        unknown = "" if prediction.error is not None else str(prediction.unknown).lower()
        self._writer.writerow([readable(prediction.id), *found, unknown, prediction.error or ""])
