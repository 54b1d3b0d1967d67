"""A benchmark's rows for other programs: CSV for a spreadsheet, LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from edgetransfer.charts.benchmark_figures import Report
from edgetransfer.charts.tex import tex

FIRST = ("data", "backbone", "engine", "sparsity", "baseline", "synthetic", "reason")


def results_csv(report: Report) -> str:
    """A line a row, what identifies it first; values in values are ``name.part``."""
    rows = [dict(_flat(row)) for row in report["rows"]]
    names = dict.fromkeys([*FIRST, *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if name == "epochs":
            continue  # a line each would be another table: report.json has them
        if name == "doubts":
            yield f"{before}{name}", "; ".join(doubt["says"] for doubt in value)
        elif isinstance(value, list):
            ends = ("low", "high") if len(value) == 2 else range(len(value))
            for at, one in zip(ends, value, strict=True):
                yield f"{before}{name}.{at}", one
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, bool):
            yield f"{before}{name}", "yes" if value else ""
        else:
            yield f"{before}{name}", "" if value is None else value


def results_tex(report: Report) -> str:
    """A table for LaTeX with the package booktabs: one for each data set.

    Intervals are 95 %; a dagger marks a row that is doubtful, and a comment below the table says
    why. Accuracies are ± the standard deviation over seeds.
    """
    return "\n".join(_table(report, data["name"]) for data in report["data"])


def _table(report: Report, data: str) -> str:
    rows = [row for row in report["rows"] if row["data"] == data]
    lines = [
        r"\begin{tabular}{llrrrrrr}",
        r"\toprule",
        r"backbone & engine & zeros (\%) & s/epoch & 95\% interval & speedup & "
        r"top-1 (\%) & per class (\%) \\",
        r"\midrule",
        *(_line(row) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(
            f"% dagger: {_comment(row['backbone'])}, {row['engine']}: {_comment(doubt['says'])}"
            for row in rows
            for doubt in row.get("doubts", ())
        ),
    ]
    machine = report["machine"]["cpu"]
    about = f"{_comment(data)}, {_comment(machine['model'])}, "
    about += f"{report['epochs']} epochs, {report['seeds']} seeds"
    source = report.get("provenance", {})
    if source:
        code = source["code"]
        about += f", edgetransfer {code['version']}, commit {code['commit']}"
        about += f", finished {report['finished']}\n% {_comment(source['command'])}"
    return f"% {about}\n".replace("\r", " ") + "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return " ".join(text.split())


def _line(row: Mapping[str, Any]) -> str:
    cells = [tex(row["backbone"]), tex(row["engine"]), f"{100 * row['sparsity']:.1f}"]
    time = row["seconds_per_epoch"]
    if time is None:
        reason = tex(row["reason"] or "not measured")
        return " & ".join([*cells, rf"\multicolumn{{5}}{{l}}{{{reason}}}"]) + r" \\"
    busy = "$^\\dagger$" if row.get("doubts") else ""
    cells += [
        f"{time['median']:.2f}{busy}",
        f"{time['low']:.2f}--{time['high']:.2f}",
        _number(row.get("speedup"), 1.0, 2),
        _accuracy(row, "top1"),
        _accuracy(row, "mean_per_class"),
    ]
    return " & ".join(cells) + r" \\"


def _accuracy(row: Mapping[str, Any], name: str) -> str:
    text = _number(row[name], 100.0, 1)
    found = row.get("accuracy")
    if found is None or found["deviation"] is None or name != row["metric"]:
        return text
    return f"{text} $\\pm$ {100 * found['deviation']:.1f}"


def _number(value: float | None, times: float, digits: int) -> str:
    return "--" if value is None else f"{times * value:.{digits}f}"
