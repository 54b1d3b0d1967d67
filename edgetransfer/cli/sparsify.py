"""``edgetransfer sparsify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.options import (
    EngineOption,
    FeaturesOption,
    InterpolationOption,
    JsonOption,
    MeanOption,
    NormalisationOption,
    ResizeOption,
    SizeOption,
    StdOption,
    ThreadsOption,
    parse_bytes,
    parse_triple,
)
from edgetransfer.cli.terminal import print_json, say, show_log, shown_progress

EXAMPLES = """\
Examples:

edgetransfer sparsify dense.onnx --sparsity 0.75 --calibration photos \\
    --out sparse.onnx

edgetransfer sparsify dense.onnx --target-speedup 2.5 --calibration photos \\
    --out fast.onnx

edgetransfer sparsify dense.onnx --pattern 2:4 --calibration photos \\
    --out s.onnx --refine 10
"""
_FIT = "Calibration"


def sparsify(
    dense: Annotated[
        str, typer.Argument(metavar="DENSE", help="The ONNX file to prune, or a bundled backbone.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The ONNX file to make.")
    ],
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            metavar="DIR",
            help="A folder of photos such as the backbone is to see; no labels needed.",
        ),
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            "--sparsity",
            metavar="SHARE",
            help="Share of the pruned layers' weights to be zero. Default: 0.75. The first and "
            "depthwise convolutions stay dense.",
        ),
    ] = None,
    target_speedup: Annotated[
        float | None,
        typer.Option(
            "--target-speedup",
            metavar="X",
            help="Images a second over those of the dense backbone, in place of --sparsity.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="reconstruct|magnitude",
            help="reconstruct: choose and refit layer by layer; magnitude: largest weights as "
            "they are.",
        ),
    ] = "reconstruct",
    distribution: Annotated[
        str | None,
        typer.Option(
            "--distribution",
            metavar="uniform|erk|global|time",
            help="How zeros are spread over the layers. Default: uniform, or time with "
            "--target-speedup.",
        ),
    ] = None,
    pattern: Annotated[
        str,
        typer.Option(
            "--pattern",
            metavar="unstructured|N:M",
            help="N:M leaves N of every M weights along the input channels.",
        ),
    ] = "unstructured",
    refine: Annotated[
        float,
        typer.Option(
            "--refine",
            metavar="MINUTES",
            help="Then train what is left towards the dense features; needs the finetune extra.",
        ),
    ] = 0.0,
    evaluate: Annotated[
        Path | None,
        typer.Option(
            "--evaluate",
            metavar="DIR",
            help="Labelled photos to test both networks' own classifier on, before and after.",
        ),
    ] = None,
    calibration_images: Annotated[
        int,
        typer.Option(
            "--calibration-images",
            metavar="N",
            min=1,
            help="How many photos to use.",
            rich_help_panel=_FIT,
        ),
    ] = 512,
    views: Annotated[
        int,
        typer.Option(
            "--views",
            metavar="N",
            min=1,
            help="Views shown of each photo.",
            rich_help_panel=_FIT,
        ),
    ] = 2,
    memory: Annotated[
        str,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="For what is kept between layers; less takes longer.",
            rich_help_panel=_FIT,
        ),
    ] = "1536M",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0)] = 0,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Of the speed measurements.")
    ] = 64,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted call.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --out.")
    ] = False,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
    features: FeaturesOption = None,
    size: SizeOption = None,
    resize: ResizeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    interpolation: InterpolationOption = None,
    normalisation: NormalisationOption = None,
    json_output: JsonOption = False,
) -> None:
    """Make a dense backbone sparse in one shot, with unlabelled photos and no training."""
    from edgetransfer.sparsify import Sparsification
    from edgetransfer.sparsify import sparsify as run

    settings = Sparsification(
        dense=dense,
        out=out,
        calibration=calibration,
        sparsity=sparsity,
        target_speedup=target_speedup,
        method=method,  # type: ignore[arg-type]
        distribution=distribution,  # type: ignore[arg-type]
        pattern=pattern,
        calibration_images=calibration_images,
        views=views,
        refine_minutes=refine,
        evaluate=evaluate,
        seed=seed,
        memory=parse_bytes("--memory", memory),
        engine=engine,
        threads=threads,
        batch_size=batch_size,
        features=features,
        size=size,
        resize=resize,
        mean=parse_triple("--mean", mean),
        std=parse_triple("--std", std),
        interpolation=interpolation,  # type: ignore[arg-type]
        normalisation=normalisation,
    )
    show_log(json_output)
    with shown_progress() as progress:
        report = run(settings, resume=resume, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(report)
    else:
        _show(report, out)


def _show(report: dict[str, Any], out: Path) -> None:
    say(
        f"{'sparsity':>9}  {'error':>7}  {'held out':>8}  {'magnitude':>9}  {'ms, sparse':>16}"
        "  layer"
    )
    for layer in report["layers"]:
        error = layer.get("error") or {}
        columns = "  ".join(
            f"{error[key]:{width}.4f}" if key in error else " " * width
            for key, width in (("fitted", 7), ("held_out", 8), ("magnitude_held_out", 9))
        )
        shape = "x".join(map(str, layer["shape"]))
        time = layer.get("milliseconds")
        spent = f"{time['dense']:8.1f}{time['sparse']:8.1f}" if time else ""
        say(f"{layer['sparsity']:9.1%}  {columns}  {spent:>16}  {layer['name']} ({shape})")
    say()
    say(
        f"sparsity   {report['pruned_layers_sparsity']:.1%} of the pruned layers' weights, "
        f"{report['sparsity']:.1%} of all"
    )
    if report["features"]:
        closeness = report["features"].get("held_out", report["features"]["fitted"])
        say(
            f"features   cosine {closeness['cosine']:.4f} against dense on held-out photos, error "
            f"{closeness['relative_error']:.3f}"
        )
    if "upstream" in report:
        dense, sparse = report["upstream"]["dense"], report["upstream"]["sparse"]
        say(
            f"upstream   top-1 {sparse['top1']:.1%} against {dense['top1']:.1%} dense, top-5 "
            f"{sparse['top5']:.1%} against {dense['top5']:.1%}, on {sparse['n']} photos"
        )
    if report["speed"]:
        speed = report["speed"]
        say(
            f"speed      {speed['sparse']:,.0f} against {speed['dense']:,.0f} images/s in "
            f"{speed['engine']}: {speed['ratio']:.2f} times"
        )
    say(f"time       {report['seconds']:,.0f} s")
    say(f"saved in   {out}")


sparsify.__doc__ = f"{sparsify.__doc__}\n\n{EXAMPLES}"
