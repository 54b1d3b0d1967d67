"""``edgetransfer predict``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetransfer.cli.options import (
    EngineOption,
    JsonOption,
    MovedBackbone,
    RunArgument,
    ThreadsOption,
)
from edgetransfer.cli.terminal import print_json, print_line, say, show_log
from edgetransfer.errors import DataError, ImageError

if TYPE_CHECKING:
    from edgetransfer.data import Sample


def predict(
    run: RunArgument,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE…", help="Files or folders; - reads one image from stdin."),
    ],
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Classes to name.")] = 3,
    backbone: MovedBackbone = None,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    json_output: JsonOption = False,
) -> None:
    """Say what photos show.

    Examples:

    edgetransfer predict run photo.jpg

    edgetransfer predict run folder/ other.png --top 1 --json

    curl -s https://example.org/cat.jpg | edgetransfer predict run -
    """
    from edgetransfer.linear import Classifier

    show_log(json_output)
    sources = _sources(images)
    with Classifier.load(
        run,
        backbone=backbone,
        engine=engine,
        threads=threads,
        batch_size=min(64, len(sources)) if len(sources) < 16 else 64,
    ) as classifier:
        predictions = []
        for prediction in classifier.predict_each(sources, top=top):
            predictions.append(prediction)
            if json_output:
                continue
            if prediction.error is not None:
                say(f"{prediction.id}: {prediction.error}")
                continue
            named = "  ".join(
                f"{name} {p:.1%}"
                for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
            )
            print_line(f"{prediction.id}  {named}")
    if json_output:
        print_json({"predictions": [asdict(p) for p in predictions]})
    failed = [p for p in predictions if p.error is not None]
    if failed:
        raise ImageError(f"{len(failed)} of {len(predictions)} images could not be decoded")


def _sources(images: list[str]) -> list[Sample | Path | bytes]:
    from edgetransfer.data import Sample, find_images
    from edgetransfer.images import SUFFIXES

    sources: list[Sample | Path | bytes] = []
    for image in images:
        path = Path(image)
        if image == "-":
            sources.append(Sample(id="standard input", source=sys.stdin.buffer.read()))
        elif path.is_dir():
            found = list(find_images(path, suffixes=SUFFIXES))
            if not found:
                raise DataError(f"{path}: no images in this folder")
            sources.extend(found)
        elif path.exists():
            sources.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    return sources
