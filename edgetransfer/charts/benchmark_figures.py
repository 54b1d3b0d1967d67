"""What a benchmark's figures show, worked out once for the page and for the plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Report = dict[str, Any]

CHANCE = 0.01
STAGES = ("decode", "transform", "forward", "head")


@dataclass(frozen=True, kw_only=True)
class GapPoint:
    """A backbone in the scatter of time against accuracy (the paper's Figure 4).

    Parameters
    ----------
    fraction, low, high
        Seconds per epoch over the baseline's, and its interval.
    gap
        Accuracy below the baseline's, in percentage points.
    data
        Index of the data set.
    """

    label: str
    fraction: float
    low: float
    high: float
    gap: float
    data: int


@dataclass(frozen=True, kw_only=True)
class StageBar:
    """An epoch as a stacked bar.

    Parameters
    ----------
    seconds
        The whole epoch.
    parts
        Seconds by stage as if all cores had worked on it at once; ``idle`` is what is left.
    """

    label: str
    data: str
    seconds: float
    parts: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class SparsityLine:
    """The share of zeros in each layer of a backbone, in graph order, 0 to 1."""

    label: str
    layers: tuple[tuple[str, float], ...]


def measured_rows(report: Report) -> list[dict[str, Any]]:
    """The rows of backbones that ran."""
    return [row for row in report["rows"] if row["seconds_per_epoch"] is not None]


def row_label(row: dict[str, Any], report: Report, *, with_data: bool) -> str:
    """A row's backbone, with its engine and data set where there are several."""
    parts = [row["backbone"]]
    if len({r["engine"] for r in report["rows"]}) > 1:
        parts.append(row["engine"])
    if with_data and len(report["data"]) > 1:
        parts.append(row["data"])
    return ", ".join(parts)


def gap_points(report: Report) -> list[GapPoint]:
    """The scatter's points; none where there is no accuracy."""
    names = [data["name"] for data in report["data"]]
    return [
        GapPoint(
            label=row_label(row, report, with_data=False),
            fraction=row["fraction_of_baseline"]["median"],
            low=row["fraction_of_baseline"]["low"],
            high=row["fraction_of_baseline"]["high"],
            gap=100 * row["accuracy_gap"],
            data=names.index(row["data"]),
        )
        for row in measured_rows(report)
        if row["accuracy_gap"] is not None and row["fraction_of_baseline"] is not None
    ]


def stage_bars(report: Report) -> list[StageBar]:
    """A bar for each row that was measured."""
    cores = report["threads"] or report["machine"]["cpu"]["cores"]
    bars = []
    for row in measured_rows(report):
        seconds = row["seconds_per_epoch"]["median"]
        parts = {name: row["stages"][name] / cores for name in STAGES}
        parts["idle"] = max(seconds - sum(parts.values()), 0.0)
        bars.append(
            StageBar(
                label=row_label(row, report, with_data=False),
                data=row["data"],
                seconds=seconds,
                parts=parts,
            )
        )
    return bars


def sparsity_lines(report: Report) -> list[SparsityLine]:
    """A line for each backbone with more than a chance zero."""
    return [
        SparsityLine(
            label=backbone["name"],
            layers=tuple((layer["name"], layer["sparsity"]) for layer in backbone["layers"]),
        )
        for backbone in report["backbones"]
        if any(layer["sparsity"] > CHANCE for layer in backbone["layers"])
    ]
