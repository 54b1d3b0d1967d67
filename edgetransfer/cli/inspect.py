"""``edgetransfer inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, say, show_log, shown_progress
from edgetransfer.settings.inspect import Inspection

if TYPE_CHECKING:
    from edgetransfer.reports.backbones import InspectRecord, NormalisationRecord, SpeedRecord


def inspect(settings: Inspection, *, json_output: JsonOption = False) -> None:
    """Show a backbone's features, sparsity, dead channels, and what its zeros gain here.

    Examples:

    edgetransfer inspect tinyresnet-90

    edgetransfer inspect net.onnx --json

    edgetransfer inspect net.onnx --data photos
    """
    from edgetransfer.jobs.inspection import inspect_backbone

    show_log(json_output)
    with shown_progress() as progress:
        result = inspect_backbone(settings, progress)
    if json_output:
        print_json(result)
    else:
        _show(result)


def _show(result: InspectRecord) -> None:
    macs, card, engine = result["macs"], result["card"], result["engine"]
    print_line(f"{result['name']}  sha256 {result['sha256'][:12]}…")
    for warning in result["warnings"]:
        say(f"warning: {warning}")
    where = result["features"]
    print_line(f"features   tensor {where['tensor']!r}, {where['dim']} numbers; {where['cut']}")
    print_line(f"input      {result['input']['size']} x {result['input']['size']} RGB")
    for name in ("pruning", "licence", "source"):
        if card.get(name):
            print_line(f"{name:<10} {card[name]}")
    print_line(
        f"sparsity   {result['sparsity']:.1%} of weights{_with_classifier(result)}, "
        f"{result['pruned_filters']:.1%} of filters without any"
    )
    share = macs["nonzero"] / macs["dense"] if macs["dense"] else 0.0
    print_line(
        f"work       {macs['nonzero'] / 1e6:,.1f} of {macs['dense'] / 1e6:,.1f} million "
        f"multiply-adds an image ({share:.1%})"
    )
    if "error" in engine:
        print_line(f"engine     none: {engine['error']}")
    else:
        print_line(f"engine     {engine['name']} {engine['version']}: {engine['reason']}")
        print_line(
            f"speed      {engine['images_per_second']:,.0f} images/s in batches of "
            f"{engine['batch_size']}"
        )
    if result["speed"]:
        _show_speed(result["speed"])
    if result["dead_channels"]["cut"]:
        after = result["dead_channels"]["macs_after"] / 1e6
        print_line(
            f"dead       {result['dead_channels']['cut']} channels; without them "
            f"{after:,.1f} million multiply-adds (edgetransfer compact)"
        )
    print_line("")
    print_line(
        f"{'sparsity':>9}  {'filters gone':>13}  {'inputs dead':>11}  {'can be cut':>10}  "
        f"{'million MACs':>13}  layer"
    )
    for layer in result["layers"]:
        shape = "x".join(map(str, layer["shape"]))
        gone = f"{layer['pruned_filters']}/{layer['filters']}"
        million = layer["macs"]["nonzero"] / 1e6
        known = layer["inputs"] is not None
        dead = f"{layer['dead_inputs']}/{layer['inputs']}" if known else "-"
        cut = layer["cut_outputs"] if known else "-"
        print_line(
            f"{layer['sparsity']:9.1%}  {gone:>13}  {dead:>11}  {cut:>10}  "
            f"{million:13,.2f}  {layer['name']} ({shape})"
        )
    if "normalisations" in result:
        _show_normalisations(result["normalisations"])


def _show_normalisations(rows: list[NormalisationRecord]) -> None:
    print_line("")
    print_line(f"normalisation by leave-one-out accuracy on {rows[0]['photos']} photos")
    for row in rows:
        print_line(f"{row['accuracy']:9.1%}  {row['normalisation']:<10} {row['means']}")
    best, second = rows[0], rows[1]
    # One standard error of a difference between two shares that differ this little.
    noise = (best["accuracy"] * (1 - best["accuracy"]) / best["photos"]) ** 0.5
    if best["accuracy"] - second["accuracy"] < noise:
        near = [r["normalisation"] for r in rows if best["accuracy"] - r["accuracy"] < noise]
        print_line(f"the best {len(near)} are too near to tell apart: {', '.join(near)}")
    elif best["normalisation"] != "card":
        print_line(f"best       --normalisation {best['normalisation']}")


def _show_speed(speed: SpeedRecord) -> None:
    print_line(f"verdict    {speed['verdict']}")
    if speed["images_per_second"]:
        dense = speed["images_per_second"]["dense"]
        print_line(
            f"dense      {dense:,.0f} images/s for the same network without zeros, in turn with it"
        )
    for step in speed["slowest"]:
        zeros = "" if step["sparsity"] is None else f", {step['sparsity']:.0%} sparse"
        names = ", ".join(step["layers"][:3]) + (", …" if len(step["layers"]) > 3 else "")
        print_line(
            f"slowest    {step['share']:.0%} of the time, {step['work_share']:.0%} of the dense "
            f"work{zeros}: {names}"
        )


def _with_classifier(result: InspectRecord) -> str:
    """As the literature counts it, where the file has a classifier."""
    whole = result["sparsity_with_classifier"]
    return "" if whole is None else f" ({whole:.1%} with the classifier's)"
