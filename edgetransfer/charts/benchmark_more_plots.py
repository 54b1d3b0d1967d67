"""What a benchmark measured one by one, on matplotlib's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetransfer.charts.benchmark_figures import (
    Report,
    epoch_points,
    ideal_with_decoding,
    layer_points,
    profile_label,
    roof,
    roofed_profiles,
    speed_points,
    thread_profiles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "0.45"


def draw_speedup(axes: Axes, report: Report) -> None:
    """Speedup against sparsity, with what would be ideal and what decoding allows."""
    points = speed_points(report)
    top = 1.3 * max(p.high for p in points)
    shares = [i / 200 for i in range(199)]
    inside = [s for s in shares if 1 / (1 - s) <= top]
    axes.plot(
        [100 * s for s in inside],
        [1 / (1 - s) for s in inside],
        color=GREY,
        linestyle="--",
        linewidth=1,
        label="1 / (1 - zeros)",
    )
    for index, data in enumerate(report["data"]):
        own = [p for p in points if p.data == index]
        ceilings = [
            row["ceiling"]
            for row in report["rows"]
            if row["data"] == data["name"] and row.get("ceiling") and row["sparsity"] > 0
        ]
        if not own or not ceilings:
            continue
        ceiling = min(ceilings)
        axes.plot(
            [100 * s for s in shares],
            [ideal_with_decoding(s, ceiling) for s in shares],
            color=GREY,
            linewidth=1,
            label=f"the same with decoding (ceiling {ceiling:.1f})",
        )
        if ceiling <= top:
            axes.axhline(ceiling, color=GREY, linestyle=":", linewidth=1)
        errors = [[p.speedup - p.low for p in own], [p.high - p.speedup for p in own]]
        axes.errorbar(
            [100 * p.sparsity for p in own],
            [p.speedup for p in own],
            yerr=errors,
            fmt="o",
            label=data["name"],
        )
        for p in own:
            axes.annotate(
                p.label + (" (disturbed)" if p.doubtful else ""),
                (100 * p.sparsity, p.speedup),
                xytext=(-6 if p.sparsity > 0.5 else 6, 6),
                textcoords="offset points",
                fontsize=8,
                ha="right" if p.sparsity > 0.5 else "left",
            )
    axes.set_xlim(0, 100)
    axes.set_ylim(0, top)
    axes.set_xlabel("zero weights, %")
    axes.set_ylabel("times as fast as dense")
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def draw_epochs(axes: Axes, report: Report) -> None:
    """Every timed epoch; those that others disturbed are hollow."""
    several = len(report["data"]) > 1
    for data in report["data"]:
        for label, points in epoch_points(report, data["name"]):
            name = f"{label}, {data['name']}" if several else label
            dots = axes.scatter(
                [p.round for p in points], [p.seconds for p in points], s=18, label=name
            )
            colours = dots.get_facecolor()
            dots.set_edgecolor(colours)
            dots.set_facecolor(["none" if p.disturbed else colours[0] for p in points])
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("round (hollow: disturbed by other processes)")
    axes.set_ylabel("seconds an epoch")
    axes.legend(frameon=False, fontsize=8)


def draw_threads(axes: Axes, report: Report) -> None:
    """Images a second of engines alone, by number of threads."""
    for profile in thread_profiles(report):
        threads = [found["threads"] for found in profile["threads"]]
        rates = [found["images_per_second"] for found in profile["threads"]]
        (line,) = axes.plot(threads, rates, marker="o", label=profile_label(profile))
        axes.plot(
            [0, threads[-1]],
            [0, rates[0] / threads[0] * threads[-1]],
            color=line.get_color(),
            linestyle=":",
            linewidth=1,
        )
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", integer=True)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threads (dotted: in proportion to the first)")
    axes.set_ylabel("images a second, engine alone")
    axes.legend(frameon=False, fontsize=8)


def draw_roofline(axes: Axes, report: Report) -> None:
    """Layers of engines alone, against the machine's measured peaks."""
    profiles = roofed_profiles(report)
    top, bandwidth = roof(report)
    lowest, highest = top / bandwidth, top / bandwidth
    for profile in profiles:
        layers = layer_points(profile)
        axes.scatter(
            [p.intensity for p in layers],
            [p.rate for p in layers],
            s=14,
            label=profile_label(profile),
        )
        lowest = min(lowest, *(p.intensity for p in layers))
        highest = max(highest, *(p.intensity for p in layers))
    ends = [lowest / 1.5, top / bandwidth, highest * 1.5]
    axes.plot(ends, [bandwidth * ends[0], top, top], color=GREY, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("multiply-adds a byte that must be moved")
    axes.set_ylabel("thousand million multiply-adds a second")
    axes.legend(frameon=False, fontsize=8)
