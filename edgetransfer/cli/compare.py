"""``edgetransfer compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from edgetransfer.cli.options import JsonOption
from edgetransfer.cli.terminal import print_json, print_line, show_log, shown_progress
from edgetransfer.settings.compare import ComparisonSettings
from edgetransfer.settings.option import Opt

if TYPE_CHECKING:
    from edgetransfer.reports.compare import CompareRecord


def compare(
    settings: ComparisonSettings,
    *,
    overwrite: Annotated[bool, Opt("Delete the runs that are in --out, and begin anew.")] = False,
    json_output: JsonOption = False,
) -> None:
    r"""Find out which backbone transfers best to your data sets, and how sure that is.

    Trains on each data set with each backbone, a process a training; what is there is not trained
    again, so that an interrupted call goes on, and further backbones, data sets and --seeds can be
    asked for later. OUT/report.html shows it.

    Examples:

    edgetransfer compare --baseline dense.onnx --backbone sparse.onnx \
        --data photos --out compared

    edgetransfer compare --baseline mobilenet-v2 --backbone tinyresnet-90 \
        --data flowers --data pets --seeds 3 --out compared

    edgetransfer compare --baseline dense.onnx --backbone sparse.onnx \
        --data photos --transfer both --epochs 20 --out compared --json

    edgetransfer compare --baseline dense.onnx --backbone sparse.onnx \
        --data dense-features --data sparse-features --out compared
    """
    from edgetransfer.compare import compare as run

    show_log(json_output)
    with shown_progress() as progress:
        report = run(settings, overwrite=overwrite, progress=progress)
    if json_output:
        print_json(report)
    else:
        _show(report, settings.out)


def _show(report: CompareRecord, out: Path) -> None:
    for result in report["results"]:
        error, alpha = result["standard_error"], result["alpha"]
        line = f"{result['transfer']:<7} {result['data']:<20} {result['backbone']:<28} "
        line += f"{result['mean']:.1%}" + ("" if error is None else f" ± {100 * error:.1f}")
        if alpha is not None and result["backbone"] != report["baseline"]:
            line += f"  alpha {alpha:+.1%}"
        print_line(line)
    for found in report["alphas"]:
        if found["mean"] is not None and found["data_sets"] > 1:
            error = found["standard_error"]
            said = f"{found['mean']:+.1%}" + ("" if error is None else f" ± {100 * error:.1f}")
            where = f"over {found['data_sets']} data sets"
            print_line(f"{found['transfer']:<7} alpha of {found['backbone']} {where}: {said}")
    for advice in report["advice"]:
        print_line(f"{advice['transfer']}: {advice['says']}")
    print_line(f"saved in    {out} (report.html, results.csv, table.tex)")
