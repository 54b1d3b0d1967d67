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
        Seconds by stage as if all cores had worked on it at once; ``others`` is what other
        processes must have taken of these cores, ``idle`` what is left.
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


@dataclass(frozen=True, kw_only=True)
class SpeedPoint:
    """A backbone in the plot of speedup against sparsity.

    Parameters
    ----------
    sparsity
        Share of zeros, 0 to 1.
    speedup, low, high
        Over dense, and its interval.
    doubtful
        Whether others disturbed it.
    """

    label: str
    sparsity: float
    speedup: float
    low: float
    high: float
    data: int
    doubtful: bool


@dataclass(frozen=True, kw_only=True)
class EpochPoint:
    """One timed epoch: its round, from 1, its seconds, and whether others disturbed it."""

    round: int
    seconds: float
    disturbed: bool


@dataclass(frozen=True, kw_only=True)
class LayerPoint:
    """A layer against the roofline.

    Parameters
    ----------
    intensity
        Multiply-adds with weights that are not zero, a byte that must be moved.
    rate
        Thousand millions of them a second.
    """

    name: str
    sparsity: float
    seconds: float
    intensity: float
    rate: float


def speed_points(report: Report) -> list[SpeedPoint]:
    """The rows of which a speedup is told; a dense network in int8 is not on this scale."""
    names = [data["name"] for data in report["data"]]
    return [
        SpeedPoint(
            label=row_label(row, report, with_data=False),
            sparsity=row["sparsity"],
            speedup=row["speedup"],
            low=1 / row["fraction_of_baseline"]["high"],
            high=1 / row["fraction_of_baseline"]["low"],
            data=names.index(row["data"]),
            doubtful=is_disturbed(row),
        )
        for row in measured_rows(report)
        if row.get("speedup") is not None and row.get("precision", "float32") == "float32"
    ]


def ideal_with_decoding(sparsity: float, ceiling: float) -> float:
    """The speedup if the backbone's part of an epoch shrank as its weights do (Amdahl)."""
    decoding = 1 / ceiling
    return 1 / (decoding + (1 - decoding) * (1 - sparsity))


def is_disturbed(row: dict[str, Any]) -> bool:
    """Whether other processes disturbed what a row tells."""
    return any(doubt["kind"] == "disturbed" for doubt in row.get("doubts", ()))


def pareto_front(points: list[GapPoint]) -> list[GapPoint]:
    """Those that no other is both faster and more accurate than, the fastest first."""
    front: list[GapPoint] = []
    for point in sorted(points, key=lambda p: (p.fraction, p.gap)):
        if not front or point.gap < front[-1].gap:
            front.append(point)
    return front


def epoch_points(report: Report, data: str) -> list[tuple[str, list[EpochPoint]]]:
    """Each row's epochs on a data set; none where there is one round alone."""
    found = []
    for row in measured_rows(report):
        if row["data"] != data or len(row.get("epochs", ())) < 2:
            continue
        points = [
            EpochPoint(round=i, seconds=epoch["seconds"], disturbed=epoch["disturbed"])
            for i, epoch in enumerate(row["epochs"], 1)
        ]
        found.append((row_label(row, report, with_data=False), points))
    return found


def profile_label(profile: dict[str, Any]) -> str:
    """A profile's backbone and engine."""
    return f"{profile['backbone']}, {profile['engine']}"


def thread_profiles(report: Report) -> list[dict[str, Any]]:
    """The engines that were measured alone with several numbers of threads, undisturbed enough."""
    return [
        profile
        for profile in report.get("profiles", ())
        if len(profile["threads"]) > 1 and not profile["withheld"]
    ]


def layer_points(profile: dict[str, Any]) -> list[LayerPoint]:
    """The layers of an engine alone, where they were timed and have work left."""
    return [
        LayerPoint(
            name=layer["name"],
            sparsity=layer["sparsity"],
            seconds=layer["seconds"],
            intensity=layer["macs"] / layer["bytes"],
            rate=layer["macs"] / layer["seconds"] / 1e9,
        )
        for layer in profile["layers"]
        if layer["macs"] > 0 and layer["seconds"] > 0 and layer["bytes"] > 0
    ]


def roofed_profiles(report: Report) -> list[dict[str, Any]]:
    """The profiles that have layers and the machine's peaks, undisturbed enough."""
    return [
        profile
        for profile in report.get("profiles", ())
        if layer_points(profile) and profile["peaks"]["macs"] and not profile["withheld"]
    ]


def roof(report: Report) -> tuple[float, float]:
    """Thousand millions a second of multiply-adds and of bytes: the most that any profile saw."""
    peaks = [profile["peaks"] for profile in report["profiles"]]
    adds = max(peak["macs"] or 0.0 for peak in peaks)
    return adds / 1e9, max(peak["bandwidth"] for peak in peaks) / 1e9


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
        left = max(seconds - sum(parts.values()), 0.0)
        parts["others"] = min(left, row.get("contention", 0.0) * seconds)
        parts["idle"] = left - parts["others"]
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
