"""A benchmark's figures as PNG files, by matplotlib (the extra ``report``)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgetransfer.charts.benchmark_figures import (
    STAGES,
    Report,
    gap_points,
    sparsity_lines,
    stage_bars,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "decode": "#d98a00",
    "transform": "#e9c46a",
    "forward": "#0068b5",
    "head": "#00805c",
    "idle": "#e4e8ec",
}


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def benchmark_plots(report: Report) -> dict[str, bytes]:
    """The figures that the report has something for: file name and PNG."""
    drawn = {}
    if len(gap_points(report)) > 1:
        drawn["accuracy.png"] = _png(report, _scatter, 5.0)
    if bars := stage_bars(report):
        drawn["stages.png"] = _png(report, _stages, 1.4 + 0.45 * len(bars))
    if sparsity_lines(report):
        drawn["sparsity.png"] = _png(report, _sparsity, 4.0)
    return drawn


def _png(report: Report, draw: Callable[[Axes, Report], None], height: float) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, height), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    draw(axes, report)
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _scatter(axes: Axes, report: Report) -> None:
    for index, data in enumerate(report["data"]):
        points = [p for p in gap_points(report) if p.data == index]
        if not points:
            continue
        errors = [[p.fraction - p.low for p in points], [p.high - p.fraction for p in points]]
        axes.errorbar(
            [p.fraction for p in points],
            [p.gap for p in points],
            xerr=errors,
            fmt="o",
            label=data["name"],
        )
        for p in points:
            axes.annotate(
                p.label,
                (p.fraction, p.gap),
                xytext=(-4 if p.fraction > 0.7 else 4, 5),
                textcoords="offset points",
                fontsize=8,
                ha="right" if p.fraction > 0.7 else "left",
            )
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds per epoch over dense")
    axes.set_ylabel("accuracy gap, points (mean per class)")
    if len(report["data"]) > 1:
        axes.legend(frameon=False)


def _stages(axes: Axes, report: Report) -> None:
    bars = stage_bars(report)
    several = len(report["data"]) > 1
    names = [f"{bar.label}\n{bar.data}" if several else bar.label for bar in bars]
    positions = range(len(bars))
    left = [0.0] * len(bars)
    for stage in (*STAGES, "idle"):
        widths = [bar.parts[stage] for bar in bars]
        axes.barh(positions, widths, left=left, color=COLOURS[stage], label=stage, height=0.7)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(positions, names)
    axes.invert_yaxis()
    axes.set_xlabel("seconds per epoch: processor seconds over the number of cores")
    axes.legend(frameon=False, ncols=5, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _sparsity(axes: Axes, report: Report) -> None:
    for line in sparsity_lines(report):
        shares = [100 * share for _, share in line.layers]
        axes.stairs(shares, label=line.label, linewidth=1.5)
    axes.set_ylim(0, 102)
    axes.set_xlabel("layer, in graph order")
    axes.set_ylabel("zero weights, %")
    axes.legend(frameon=False, fontsize=8)
