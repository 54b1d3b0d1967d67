"""``edgetransfer compact``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log
from edgetransfer.settings.compact import Compaction

if TYPE_CHECKING:
    from edgetransfer.reports.backbones import CompactRecord


def compact(settings: Compaction, *, json_output: JsonOption = False) -> None:
    """Cut away channels that cannot change the features: same outputs, smaller network.

    A pruned network often has filters without weights, and channels that nobody reads. Any
    engine gains from their going, also one that gains nothing from zeros.

    Examples:

    edgetransfer compact sparse.onnx --out smaller.onnx
    """
    from edgetransfer.jobs.compact import compact_backbone

    show_log(json_output)
    result = compact_backbone(settings)
    if json_output:
        print_json(result)
    else:
        _show(result)


def _show(result: CompactRecord) -> None:
    before, after = result["before"], result["after"]
    if result["out"] is None:
        print_line("no channel is dead: every one can change the features; nothing was written")
        return
    print_line(f"channels   {result['channels_cut']} cut away")
    for key, unit, values in (
        ("weights", "million", (before["weights"], after["weights"])),
        ("work", "million multiply-adds an image, zeros included", None),
    ):
        old, new = values or (before["macs"]["dense"], after["macs"]["dense"])
        print_line(f"{key:<10} {old / 1e6:,.2f} -> {new / 1e6:,.2f} {unit} ({new / old - 1:+.1%})")
    print_line(f"sparsity   {before['sparsity']:.1%} -> {after['sparsity']:.1%} of weights")
    print_line(f"features   differ by {result['largest_difference']:.1e} of the largest at most")
    print_line(f"saved in   {result['out']}")
