"""A benchmark's figures as PNG, SVG and PDF files, by matplotlib (the extra ``report``)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgetransfer.charts.benchmark_figures import (
    STAGES,
    Report,
    epoch_points,
    gap_points,
    pareto_front,
    roofed_profiles,
    sparsity_lines,
    speed_points,
    stage_bars,
    thread_profiles,
)
from edgetransfer.charts.benchmark_more_plots import (
    draw_epochs,
    draw_roofline,
    draw_speedup,
    draw_threads,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "decode": "#d98a00",
    "transform": "#e9c46a",
    "forward": "#0068b5",
    "head": "#00805c",
    "others": "#a8271a",
    "idle": "#e4e8ec",
}


# No date, so that the same report gives the same bytes.
_ABOUT: dict[str, dict[str, str | None]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def benchmark_plots(report: Report) -> dict[str, bytes]:
    """The figures that the report has something for: file names and contents."""
    drawn: dict[str, bytes] = {}
    if len(gap_points(report)) > 1:
        drawn |= _files("accuracy", report, _scatter, 5.0)
    if bars := stage_bars(report):
        drawn |= _files("stages", report, _stages, 1.4 + 0.45 * len(bars))
    if len(speed_points(report)) > 1:
        drawn |= _files("speedup", report, draw_speedup, 4.6)
    if any(epoch_points(report, data["name"]) for data in report["data"]):
        drawn |= _files("epochs", report, draw_epochs, 4.0)
    if thread_profiles(report):
        drawn |= _files("threads", report, draw_threads, 4.0)
    if roofed_profiles(report):
        drawn |= _files("roofline", report, draw_roofline, 4.6)
    if sparsity_lines(report):
        drawn |= _files("sparsity", report, _sparsity, 4.0)
    return drawn


def _files(
    name: str, report: Report, draw: Callable[[Axes, Report], None], height: float
) -> dict[str, bytes]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, height), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    draw(axes, report)
    axes.spines[["top", "right"]].set_visible(False)
    files = {}
    for kind, about in _ABOUT.items():
        stream = io.BytesIO()
        with rc_context({"svg.hashsalt": name}):  # else its ids are drawn by chance
            figure.savefig(stream, format=kind, metadata=about)
        files[f"{name}.{kind}"] = stream.getvalue()
    return files


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
        front = pareto_front(points)
        axes.step(
            [p.fraction for p in front],
            [p.gap for p in front],
            where="post",
            color="0.5",
            linestyle="--",
            linewidth=1,
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
    axes.set_ylabel("accuracy gap, points")
    if len(report["data"]) > 1:
        axes.legend(frameon=False)


def _stages(axes: Axes, report: Report) -> None:
    bars = stage_bars(report)
    several = len(report["data"]) > 1
    names = [f"{bar.label}\n{bar.data}" if several else bar.label for bar in bars]
    positions = range(len(bars))
    left = [0.0] * len(bars)
    for stage in (*STAGES, "others", "idle"):
        widths = [bar.parts[stage] for bar in bars]
        axes.barh(positions, widths, left=left, color=COLOURS[stage], label=stage, height=0.7)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(positions, names)
    axes.invert_yaxis()
    axes.set_xlabel("seconds per epoch: processor seconds over the number of cores")
    axes.legend(frameon=False, ncols=6, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _sparsity(axes: Axes, report: Report) -> None:
    for line in sparsity_lines(report):
        shares = [100 * share for _, share in line.layers]
        axes.stairs(shares, label=line.label, linewidth=1.5)
    axes.set_ylim(0, 102)
    axes.set_xlabel("layer, in graph order")
    axes.set_ylabel("zero weights, %")
    axes.legend(frameon=False, fontsize=8)
