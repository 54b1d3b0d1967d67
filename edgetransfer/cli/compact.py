"""``edgetransfer compact``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgetransfer.cli.options import FeaturesOption, JsonOption
from edgetransfer.cli.terminal import print_json, say, show_log


def compact(
    backbone: Annotated[
        str, typer.Argument(metavar="BACKBONE", help="ONNX file, or a bundled backbone.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.onnx", help="The ONNX file to write.")
    ],
    features: FeaturesOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file and card that are there.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Cut away channels that cannot change the features: same outputs, smaller network.

    A pruned network often has filters without weights, and channels that nobody reads. Any
    engine gains from their going, also one that gains nothing from zeros.

    Examples:

    edgetransfer compact sparse.onnx --out smaller.onnx
    """
    from edgetransfer.jobs.compact import Compaction, compact_backbone

    show_log(json_output)
    result = compact_backbone(
        Compaction(backbone=backbone, out=out, features=features, overwrite=overwrite)
    )
    if json_output:
        print_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    before, after = result["before"], result["after"]
    if result["out"] is None:
        say("no channel is dead: every one can change the features; nothing was written")
        return
    say(f"channels   {result['channels_cut']} cut away")
    for key, unit, values in (
        ("weights", "million", (before["weights"], after["weights"])),
        ("work", "million multiply-adds an image, zeros included", None),
    ):
        old, new = values or (before["macs"]["dense"], after["macs"]["dense"])
        say(f"{key:<10} {old / 1e6:,.2f} -> {new / 1e6:,.2f} {unit} ({new / old - 1:+.1%})")
    say(f"sparsity   {before['sparsity']:.1%} -> {after['sparsity']:.1%} of weights")
    say(f"features   differ by {result['largest_difference']:.1e} of the largest at most")
    say(f"saved in   {result['out']}")
