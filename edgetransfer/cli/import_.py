"""``edgetransfer import``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, say, show_log, shown_progress
from edgetransfer.settings.import_ import ImportSettings
from edgetransfer.settings.shared import CacheDir

if TYPE_CHECKING:
    from edgetransfer.reports.backbones import ImportRecord


def import_(
    settings: ImportSettings, *, cache_dir: CacheDir = None, json_output: JsonOption = False
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
    from edgetransfer.jobs.importing import import_backbone

    show_log(json_output)
    with shown_progress() as progress:
        result = import_backbone(settings, cache=cache_dir, progress=progress)
    if json_output:
        print_json(result)
    else:
        _show(result)


def _show(result: ImportRecord) -> None:
    for warning in result["warnings"]:
        say(f"warning: {warning}")
    if result["architecture"]:
        classes = f", {result['classes']} classes" if result["classes"] else ""
        print_line(f"network    {result['architecture']}, names of {result['naming']}{classes}")
    if result.get("other_widths"):
        print_line(
            f"widths     {result['other_widths']} layers have their own, read from the weights"
        )
    if result.get("masked_layers"):
        print_line(f"masks      of {result['masked_layers']} layers, multiplied in")
    if result.get("thresholded_layers"):
        print_line(f"thresholds of {result['thresholded_layers']} layers (STR), applied")
    if result.get("passed_over"):
        print_line(
            f"not run    {', '.join(result['passed_over'][:6])} (named in the file, not needed)"
        )
    print_line(
        f"features   tensor {result['features']['tensor']!r}, {result['features']['dim']} numbers"
    )
    print_line(
        f"sparsity   {result['sparsity']:.1%} of weights, "
        f"{result['pruned_filters']:.1%} of filters without any"
    )
    print_line(f"saved in   {result['out']}")
    print_line(f"try        edgetransfer inspect {result['out']}")
