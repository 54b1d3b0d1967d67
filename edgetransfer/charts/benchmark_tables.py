"""A benchmark's rows for other programs: CSV for a spreadsheet, LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from edgetransfer.charts.benchmark_figures import Report

FIRST = ("data", "backbone", "engine", "sparsity", "baseline", "synthetic", "reason")
# What TeX takes for commands, and what stands for it.
_TEX = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


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
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, bool):
            yield f"{before}{name}", "yes" if value else ""
        else:
            yield f"{before}{name}", "" if value is None else value


def results_tex(report: Report) -> str:
    """A table for LaTeX with the package booktabs: one for each data set.

    Intervals are 95 %; a dagger marks a row in which other processes took more of the processor
    than 5 %.
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
    ]
    machine = report["machine"]["cpu"]
    about = f"{data}, {machine['model']}, {report['epochs']} epochs, {report['seeds']} seeds"
    return f"% {about}\n".replace("\r", " ") + "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    cells = [_tex(row["backbone"]), _tex(row["engine"]), f"{100 * row['sparsity']:.1f}"]
    time = row["seconds_per_epoch"]
    if time is None:
        reason = _tex(row["reason"] or "not measured")
        return " & ".join([*cells, rf"\multicolumn{{5}}{{l}}{{{reason}}}"]) + r" \\"
    busy = "$^\\dagger$" if row["other_load"] > 0.05 else ""
    cells += [
        f"{time['median']:.2f}{busy}",
        f"{time['low']:.2f}--{time['high']:.2f}",
        _number(row.get("speedup"), 1.0, 2),
        _number(row["top1"], 100.0, 1),
        _number(row["mean_per_class"], 100.0, 1),
    ]
    return " & ".join(cells) + r" \\"


def _number(value: float | None, times: float, digits: int) -> str:
    return "--" if value is None else f"{times * value:.{digits}f}"


def _tex(text: str) -> str:
    one_line = " ".join(text.split())
    return "".join(_TEX.get(character, character) for character in one_line)
