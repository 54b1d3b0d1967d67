"""A comparison for people and for other programs: report.json, a page, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from edgetransfer.atomic import write_atomically
from edgetransfer.charts.tex import tex
from edgetransfer.compare.page import comparison_page
from edgetransfer.names import json_text
from edgetransfer.reports.compare import CompareRecord, ResultRecord
from edgetransfer.runs.json_values import finite

COLUMNS = (
    *("transfer", "data", "metric", "backbone", "sparsity", "pruned_filters", "seed"),
    *("accuracy", "best", "alpha", "seconds_per_epoch"),
)


def write_all(report: CompareRecord, folder: Path) -> None:
    """Write report.json, report.html, results.csv and table.tex."""
    files = {
        "results.csv": results_csv(report),
        "table.tex": results_tex(report),
        "report.html": comparison_page(report),
        "report.json": json_text(finite(report), indent=2) + "\n",
    }
    for name, text in files.items():
        write_atomically(folder / name, text.encode("utf-8", "replace"))


def results_csv(report: CompareRecord) -> str:
    """A line a training."""
    backbones = {record["name"]: record for record in report["backbones"]}
    metrics = {record["name"]: record["metric"] for record in report["data"]}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for result in report["results"]:
        for seed, accuracy in enumerate(result["accuracy"]):
            writer.writerow(
                {
                    **backbones[result["backbone"]],
                    **result,
                    "metric": metrics[result["data"]],
                    "seed": seed,
                    "accuracy": accuracy,
                    "best": result["best"][seed],
                }
            )
    return text.getvalue()


def results_tex(report: CompareRecord) -> str:
    """Tables for LaTeX with the package booktabs: one for each kind of transfer.

    As tables C.1 and C.2 of the paper: a row a backbone, a column a data set, accuracies in percent
    ± their standard error over the seeds; the last column is the mean relative error increase.
    """
    transfers = dict.fromkeys(result["transfer"] for result in report["results"])
    return "\n".join(_table(report, transfer) for transfer in transfers)


def _table(report: CompareRecord, transfer: str) -> str:
    data = [record["name"] for record in report["data"]]
    found = {
        (result["data"], result["backbone"]): result
        for result in report["results"]
        if result["transfer"] == transfer
    }
    alphas = {a["backbone"]: a for a in report["alphas"] if a["transfer"] == transfer}
    lines = []
    for backbone in report["backbones"]:
        name = backbone["name"]
        alpha = alphas.get(name)
        cells = [tex(name), f"{100 * backbone['sparsity']:.1f}"]
        cells += [_accuracy(found[d, name]) for d in data]
        cells.append("--" if alpha is None else _plus_minus(alpha["mean"], alpha["standard_error"]))
        lines.append(" & ".join(cells) + r" \\")
    heads = " & ".join(["backbone", r"zeros (\%)", *(tex(name) for name in data), r"$\alpha$ (\%)"])
    return "\n".join(
        [
            rf"% {transfer} transfer, {report['seeds']} seeds; alpha against "
            rf"{' '.join(report['baseline'].split())}",
            rf"\begin{{tabular}}{{lr{'r' * len(data)}r}}",
            r"\toprule",
            heads + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _accuracy(result: ResultRecord) -> str:
    return _plus_minus(result["mean"], result["standard_error"])


def _plus_minus(mean: float | None, error: float | None) -> str:
    if mean is None:
        return "--"
    text = f"{100 * mean:.1f}"
    return text if error is None else f"{text} $\\pm$ {100 * error:.1f}"
