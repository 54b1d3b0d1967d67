"""``edgetransfer benchmark``."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.benchmark_table import show_benchmark
from edgetransfer.cli.options import (
    CacheOption,
    FlipOption,
    InterpolationOption,
    JsonOption,
    LearningRateOption,
    MaxBadOption,
    MeanOption,
    MetricOption,
    MinCropOption,
    NormalisationOption,
    RecipeOption,
    ResizeOption,
    SizeOption,
    StdOption,
    ThreadsOption,
    WorkersOption,
    parse_triple,
)
from edgetransfer.cli.terminal import print_json, show_log, shown_progress
from edgetransfer.errors import EngineError

EXAMPLES = """\
Examples:

edgetransfer benchmark --baseline dense.onnx --backbone sparse80.onnx \\
    --backbone sparse90.onnx --data photos --data flowers.csv --seeds 3 \\
    --out bench

edgetransfer benchmark --synthetic resnet50:0.8,0.9,0.95 --data photos \\
    --out bench

edgetransfer benchmark --synthetic resnet50:0.9 --out bench \\
    --pattern acdc,str,woodfisher,rigl --data caltech-101

edgetransfer benchmark --synthetic mobilenet_v1:0.75 --data photos \\
    --engines deepsparse,onnxruntime --images 640 --out bench --json
"""


def benchmark(
    data: Annotated[
        list[Path],
        typer.Option(
            *("--data", "-d"),
            metavar="DIR|MANIFEST",
            help="Labelled photos, as for train; may be given more than once.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="Where measurements and report go."),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="FILE|NAME",
            help="The dense backbone that the others are compared with.",
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            metavar="FILE|NAME",
            help="A backbone to compare; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    synthetic: Annotated[
        list[str] | None,
        typer.Option(
            "--synthetic",
            metavar="ARCH:S1,S2",
            help="resnet18, resnet34, resnet50 or mobilenet_v1 with random weights, pruned by "
            "magnitude to these sparsities: for speed alone. Without --baseline its dense twin "
            "is the baseline.",
            show_default=False,
        ),
    ] = None,
    pattern: Annotated[
        str,
        typer.Option(
            "--pattern",
            metavar="uniform,erk,global,acdc,str,woodfisher,rigl",
            help="Of --synthetic: how zeros are shared out over the layers; the last four as in "
            "the published ResNet50 (and MobileNetV1: acdc, rigl), by sparsity and work.",
        ),
    ] = "uniform",
    engines: Annotated[
        str,
        typer.Option(
            "--engines",
            metavar="ENGINE,…",
            help="Every backbone runs in each, such as deepsparse,onnxruntime.",
        ),
    ] = "auto",
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            min=1,
            help="Of each training. Default: 20; 150 by the paper's recipe; 3 where all weights "
            "are synthetic.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="How many trainings.")
    ] = 1,
    images: Annotated[
        int | None,
        typer.Option(
            "--images", metavar="N", min=1, help="At most so many images an epoch. Default: all."
        ),
    ] = None,
    retakes: Annotated[
        int,
        typer.Option(
            "--retakes",
            metavar="N",
            min=0,
            help="Time an epoch again, up to so often, while other processes take more than 5 % of "
            "the processor; the least disturbed counts.",
        ),
    ] = 0,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", min=1)] = 64,
    learning_rate: LearningRateOption = None,
    recipe: RecipeOption = "default",
    metric: MetricOption = "auto",
    min_crop: MinCropOption = 0.08,
    flip: FlipOption = True,
    max_bad: MaxBadOption = 0.05,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start anew in an existing benchmark's folder.")
    ] = False,
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    cache_dir: CacheOption = None,
    size: SizeOption = None,
    resize: ResizeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    interpolation: InterpolationOption = None,
    normalisation: NormalisationOption = None,
    json_output: JsonOption = False,
) -> None:
    """Compare backbones with a dense one: seconds per epoch and accuracy, here, on your photos.

    Each epoch of online linear finetuning is timed in a process of its own, after a warm-up, and
    the backbones take turns (A B C, A B C). OUT gets report.html, report.json and, with
    matplotlib, plots. The same command goes on with a benchmark that was interrupted.
    """
    from edgetransfer.benchmark import BenchmarkSettings, SyntheticFamily, run_benchmark

    settings = BenchmarkSettings(
        out=out,
        data=tuple(data),
        baseline=baseline,
        backbones=tuple(backbone or ()),
        synthetic=tuple(SyntheticFamily.parse(text) for text in synthetic or ()),
        patterns=tuple(pattern.split(",")),
        engines=tuple(engines.split(",")),
        epochs=epochs,
        seeds=seeds,
        images=images,
        retakes=retakes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        recipe=recipe,  # type: ignore[arg-type]
        metric=metric,  # type: ignore[arg-type]
        min_crop=min_crop,
        flip=flip,
        max_bad=max_bad,
        threads=threads,
        workers=workers,
        cache_dir=cache_dir,
        size=size,
        resize=resize,
        mean=parse_triple("--mean", mean),
        std=parse_triple("--std", std),
        interpolation=interpolation,  # type: ignore[arg-type]
        normalisation=normalisation,
    )
    show_log(json_output)
    with shown_progress() as progress:
        report = run_benchmark(settings, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(report)
    else:
        show_benchmark(report, out)
    _fail_if_nothing_ran(report)


def _fail_if_nothing_ran(report: dict[str, Any]) -> None:
    reasons = [row["reason"] for row in report["rows"]]
    if all(reasons):
        raise EngineError(f"no backbone could be measured: {reasons[0]}")


benchmark.__doc__ = f"{cleandoc(benchmark.__doc__ or '')}\n\n{EXAMPLES}"
