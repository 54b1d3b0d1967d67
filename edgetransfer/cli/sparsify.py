"""``edgetransfer sparsify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.option import Opt
from edgetransfer.settings.sparsify import Sparsification

if TYPE_CHECKING:
    from edgetransfer.reports.sparsify import SparsifyRecord


def sparsify(
    settings: Sparsification,
    *,
    resume: Annotated[bool, Opt("Go on with an interrupted call.")] = False,
    overwrite: Annotated[bool, Opt("Replace an existing --out.")] = False,
    json_output: JsonOption = False,
) -> None:
    r"""Make a dense backbone sparse in one shot, with unlabelled photos and no training.

    Examples:

    edgetransfer sparsify dense.onnx --sparsity 0.75 --calibration photos \
        --out sparse.onnx

    edgetransfer sparsify dense.onnx --target-speedup 2.5 --calibration photos \
        --out fast.onnx

    edgetransfer sparsify dense.onnx --pattern 2:4 --calibration photos \
        --out s.onnx --refine 10
    """
    from edgetransfer.sparsify import sparsify as run

    show_log(json_output)
    with shown_progress() as progress:
        report = run(settings, resume=resume, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(report)
    else:
        _show(report, settings.out)


def _show(report: SparsifyRecord, out: Path) -> None:
    print_line(
        f"{'sparsity':>9}  {'error':>7}  {'held out':>8}  {'magnitude':>9}  {'ms, sparse':>16}"
        "  layer"
    )
    for layer in report["layers"]:
        columns = " " * 28
        if error := layer.get("error"):
            columns = (
                f"{error['fitted']:7.4f}  {error['held_out']:8.4f}  "
                f"{error['magnitude_held_out']:9.4f}"
            )
        shape = "x".join(map(str, layer["shape"]))
        time = layer.get("milliseconds")
        spent = f"{time['dense']:8.1f}{time['sparse']:8.1f}" if time else ""
        print_line(f"{layer['sparsity']:9.1%}  {columns}  {spent:>16}  {layer['name']} ({shape})")
    print_line("")
    print_line(
        f"sparsity   {report['pruned_layers_sparsity']:.1%} of the pruned layers' weights, "
        f"{report['sparsity']:.1%} of all"
    )
    if report["features"]:
        closeness = report["features"].get("held_out", report["features"]["fitted"])
        print_line(
            f"features   cosine {closeness['cosine']:.4f} against dense on held-out photos, error "
            f"{closeness['relative_error']:.3f}"
        )
    if "upstream" in report:
        dense, sparse = report["upstream"]["dense"], report["upstream"]["sparse"]
        print_line(
            f"upstream   top-1 {sparse['top1']:.1%} against {dense['top1']:.1%} dense, top-5 "
            f"{sparse['top5']:.1%} against {dense['top5']:.1%}, on {sparse['n']} photos"
        )
    if report["speed"]:
        speed = report["speed"]
        print_line(
            f"speed      {speed['sparse']:,.0f} against {speed['dense']:,.0f} images/s in "
            f"{speed['engine']}: {speed['ratio']:.2f} times"
        )
    print_line(f"time       {report['seconds']:,.0f} s")
    print_line(f"saved in   {out}")
