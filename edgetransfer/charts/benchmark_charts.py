"""The charts of a benchmark's page that show measurements one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from html import escape
from itertools import pairwise

from edgetransfer.charts.benchmark_figures import (
    Report,
    epoch_points,
    gap_points,
    ideal_with_decoding,
    layer_points,
    pareto_front,
    profile_label,
    roof,
    roofed_profiles,
    speed_points,
    thread_profiles,
)
from edgetransfer.charts.svg import SERIES, Axis, Chart

Curve = Callable[[float], float]
STEPS = 60  # of a curve
DASHES, DOTS = "6 4", "2 4"


def speedup_chart(report: Report) -> str:
    """Speedup against sparsity; a chart a data set, for each has a ceiling of its own."""
    content = ""
    for index, data in enumerate(report["data"]):
        points = [point for point in speed_points(report) if point.data == index]
        ceilings = [
            row["ceiling"]
            for row in report["rows"]
            if row["data"] == data["name"] and row.get("ceiling") and row["sparsity"] > 0
        ]
        if len(points) < 2 or not ceilings:
            continue
        ceiling = min(ceilings)
        most = max(point.sparsity for point in points)
        top = 1.15 * max(1.0, *(p.high for p in points), ideal_with_decoding(most, ceiling))
        chart = Chart(
            Axis(0.0, 100.0, "zeros", (0, 20, 40, 60, 80, 100), " %"),
            Axis.over([0.0, top], "times as fast as dense"),
            f"Speedup against sparsity, {data['name']}",
        )
        highest = Axis.over([0.0, top], "").high
        _reference(chart, highest, lambda s: 1 / (1 - s), DASHES, "as the weights: 1 / (1 - zeros)")
        with_decoding = "the same, but decoding takes what it takes"
        _reference(chart, highest, partial(ideal_with_decoding, ceiling=ceiling), "", with_decoding)
        if ceiling <= highest:
            chart.line(
                [(0.0, ceiling), (100.0, ceiling)],
                series=None,
                tooltip="decoding alone",
                dashes=DOTS,
            )
        for point in points:
            at, series = 100 * point.sparsity, index
            chart.upright(at, point.low, min(point.high, highest), series=series)
            tooltip = (
                f"{point.label}: {point.speedup:.2f} times ({point.low:.2f} to {point.high:.2f})"
            )
            chart.point(at, point.speedup, series=series, tooltip=tooltip, hollow=point.doubtful)
        for point in points:
            chart.label(100 * point.sparsity, point.speedup, point.label)
        name = f"<h3>{escape(data['name'])}</h3>" if len(report["data"]) > 1 else ""
        content += name + chart.finished()
        content += f"<p class='muted'>Ceiling: {ceiling:.1f} times, of decoding alone.</p>"
    return content


def _reference(chart: Chart, highest: float, curve: Curve, dashes: str, says: str) -> None:
    """A grey curve over sparsity, as far as it is within the chart."""
    points = [(100 * i / STEPS, curve(i / STEPS)) for i in range(STEPS)]
    inside = [(x, y) for x, y in points if y <= highest]
    if len(inside) > 1:
        chart.line(inside, series=None, tooltip=says, dashes=dashes)


def gap_chart(report: Report) -> str:
    """Seconds an epoch against accuracy lost, with the line of those that none beats in both."""
    points = gap_points(report)
    if len(points) < 2:
        return ""
    chart = Chart(
        Axis.over([0.0, *(p.high for p in points)], "seconds per epoch over dense"),
        Axis.over([0.0, *(p.gap for p in points)], "accuracy gap, points"),
        "Scatter of time per epoch against accuracy gap",
    )
    for index in sorted({point.data for point in points}):
        front = pareto_front([point for point in points if point.data == index])
        steps = [
            corner
            for one, after in pairwise(front)
            for corner in ((one.fraction, one.gap), (after.fraction, one.gap))
        ]
        if steps:
            line = [*steps, (front[-1].fraction, front[-1].gap)]
            chart.line(line, series=None, tooltip="none is faster and more accurate", dashes=DASHES)
    for point in points:
        chart.interval(point.low, point.high, point.gap, series=point.data)
    for point in points:
        tooltip = f"{point.label}: {point.fraction:.3f} of dense, gap {point.gap:+.1f} points"
        chart.point(point.fraction, point.gap, series=point.data, tooltip=tooltip)
    for point in points:
        chart.label(point.fraction, point.gap, point.label)
    names = [data["name"] for data in report["data"]]
    return (legend(series_of(names)) if len(names) > 1 else "") + chart.finished()


def epochs_chart(report: Report) -> str:
    """Every timed epoch, round by round; rings are those that others disturbed."""
    content = ""
    for data in report["data"]:
        lines = epoch_points(report, data["name"])
        if not lines:
            continue
        rounds = max(point.round for _, points in lines for point in points)
        seconds = [point.seconds for _, points in lines for point in points]
        chart = Chart(
            _counted(rounds, "round"),
            Axis.over([0.0, *seconds], "seconds"),
            f"Seconds of every epoch, {data['name']}",
        )
        for series, (label, points) in enumerate(lines):
            for point in points:
                disturbed = ", disturbed" if point.disturbed else ""
                tooltip = f"{label}, round {point.round}: {point.seconds:.2f} s{disturbed}"
                chart.point(
                    point.round,
                    point.seconds,
                    series=series,
                    tooltip=tooltip,
                    hollow=point.disturbed,
                    size=3.5,
                )
        name = f"<h3>{escape(data['name'])}</h3>" if len(report["data"]) > 1 else ""
        content += name + legend(series_of([label for label, _ in lines])) + chart.finished()
    return content


def threads_chart(report: Report) -> str:
    """Images a second of engines alone, by number of threads."""
    profiles = thread_profiles(report)
    if not profiles:
        return ""
    most = max(found["threads"] for p in profiles for found in p["threads"])
    rates = [found["images_per_second"] for p in profiles for found in p["threads"]]
    chart = Chart(
        _counted(most, "threads"),
        Axis.over([0.0, *rates], "images a second, engine alone"),
        "Images a second by number of threads",
    )
    for series, profile in enumerate(profiles):
        points = [(float(t["threads"]), t["images_per_second"]) for t in profile["threads"]]
        label = profile_label(profile)
        ideal = points[0][1] / points[0][0]
        chart.line([(0.0, 0.0), points[0]], series=None, tooltip="in proportion", dashes=DOTS)
        chart.line(points, series=series, tooltip=label)
        for threads, rate in points:
            share = rate / (ideal * threads)
            tooltip = (
                f"{label}, {threads:.0f} threads: {rate:.0f} images/s, {share:.0%} of in proportion"
            )
            chart.point(threads, rate, series=series, tooltip=tooltip, hollow=profile["disturbed"])
    return legend(series_of([profile_label(p) for p in profiles])) + chart.finished()


def _counted(most: int, title: str) -> Axis:
    """A scale of whole numbers from 0."""
    ticks = tuple(float(t) for t in range(0, most + 1, max(1, most // 8)))
    return Axis(0.0, float(most), title, ticks)


def roofline_chart(report: Report) -> str:
    """Layers of the engines alone, against what memory and arithmetic allow here."""
    profiles = roofed_profiles(report)
    if not profiles:
        return ""
    points = [layer_points(profile) for profile in profiles]
    top, bandwidth = roof(report)
    knee = top / bandwidth
    intensities = [p.intensity for some in points for p in some]
    x = Axis.of_factors([*intensities, knee], "multiply-adds a byte")
    rates = [p.rate for some in points for p in some]
    y = Axis.of_factors([*rates, top, bandwidth * x.low], "thousand million multiply-adds a second")
    chart = Chart(x, y, "Layers against the roofline")
    edge = [(x.low, bandwidth * x.low), (knee, top), (x.high, top)]
    says = f"measured here: {bandwidth:.1f} GB/s, {top:.0f} thousand million multiply-adds a second"
    chart.line(edge, series=None, tooltip=says)
    for series, (profile, layers) in enumerate(zip(profiles, points, strict=True)):
        for layer in layers:
            tooltip = (
                f"{profile_label(profile)}: {layer.name}, {layer.sparsity:.0%} zeros, "
                f"{1000 * layer.seconds:.2f} ms a batch"
            )
            chart.point(
                layer.intensity,
                layer.rate,
                series=series,
                tooltip=tooltip,
                size=3.5,
                hollow=profile["disturbed"],
            )
    text = f"<p class='muted'>Roof: {escape(says)}.</p>"
    return legend(series_of([profile_label(p) for p in profiles])) + chart.finished() + text


def series_of(names: list[str]) -> list[tuple[str, str]]:
    """Names with the class of their colour."""
    return [(name, f"series-{i % SERIES}") for i, name in enumerate(names)]


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """What a chart's colours stand for."""
    items = "".join(f"<li><i class='{kind}'></i>{escape(name)}</li>" for name, kind in entries)
    return f"<ul class='legend'>{items}</ul>"
