"""``edgetransfer import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.options import (
    CacheOption,
    InterpolationOption,
    JsonOption,
    MeanOption,
    NormalisationOption,
    ResizeOption,
    SizeOption,
    StdOption,
    parse_triple,
)
from edgetransfer.cli.terminal import print_json, say, show_log, shown_progress


def import_(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.onnx", help="The ONNX file to write.")
    ],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="Torch checkpoint, safetensors or ONNX file.", show_default=False
        ),
    ] = None,
    download: Annotated[
        str | None,
        typer.Option(
            "--download",
            metavar="NAME",
            help="Fetch published weights, by a name that `edgetransfer backbones` lists.",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--architecture", metavar="NAME", help="The only one to try; recognised if not given."
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme",
            metavar="NAME",
            help="Whose names the parameters have, where several spell them alike.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="For the card; also those below.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", metavar="TEXT", help="Terms of use of the weights.")
    ] = None,
    pruning: Annotated[
        str | None, typer.Option("--pruning", metavar="TEXT", help="How they were made sparse.")
    ] = None,
    size: SizeOption = None,
    resize: ResizeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    interpolation: InterpolationOption = None,
    normalisation: NormalisationOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file and card that are there.")
    ] = False,
    cache_dir: CacheOption = None,
    json_output: JsonOption = False,
) -> None:
    """Make an ONNX backbone, with a card, of a checkpoint or of another tool's ONNX file.

    ResNets, MobileNets and small EfficientNets, RegNetYs and ConvNeXts, under the names of
    torchvision, timm, transformers, mmpretrain, AC/DC, STR, RigL, SparseML, AMC and others, also
    channel-pruned and inside a trainer's wrapping; masks are kept. What computes something else
    under these names is refused. No code in the file is ever run. Nothing is fetched without
    --download.

    Examples:

    edgetransfer import resnet50_acdc_90.ckpt --out acdc.onnx --pruning AC/DC

    edgetransfer import --download resnet50 --out resnet50.onnx
    """
    from edgetransfer.jobs.importing import ImportSettings, import_backbone

    show_log(json_output)
    settings = ImportSettings(
        source=source,
        out=out,
        download=download,
        architecture=architecture,
        scheme=scheme,
        name=name,
        licence=licence,
        pruning=pruning,
        size=size,
        resize=resize,
        mean=parse_triple("--mean", mean),
        std=parse_triple("--std", std),
        interpolation=interpolation,  # type: ignore[arg-type]  # Preprocessing refuses others
        normalisation=normalisation,
        overwrite=overwrite,
    )
    with shown_progress() as progress:
        result = import_backbone(settings, cache=cache_dir, progress=progress)
    if json_output:
        print_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    for warning in result["warnings"]:
        say(f"warning: {warning}")
    if result["architecture"]:
        classes = f", {result['classes']} classes" if result["classes"] else ""
        say(f"network    {result['architecture']}, names of {result['naming']}{classes}")
    if result.get("other_widths"):
        say(f"widths     {result['other_widths']} layers have their own, read from the weights")
    if result.get("masked_layers"):
        say(f"masks      of {result['masked_layers']} layers, multiplied in")
    if result.get("thresholded_layers"):
        say(f"thresholds of {result['thresholded_layers']} layers (STR), applied")
    if result.get("passed_over"):
        say(f"not run    {', '.join(result['passed_over'][:6])} (named in the file, not needed)")
    say(f"features   tensor {result['features']['tensor']!r}, {result['features']['dim']} numbers")
    say(
        f"sparsity   {result['sparsity']:.1%} of weights, "
        f"{result['pruned_filters']:.1%} of filters without any"
    )
    say(f"saved in   {result['out']}")
    say(f"try        edgetransfer inspect {result['out']}")
