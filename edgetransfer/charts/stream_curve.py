"""How a stream's accuracy went, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from edgetransfer.charts.benchmark_style import STYLE
from edgetransfer.charts.svg import Axis, Chart

LINES = (("window", "the last samples"), ("prequential", "all so far"))
MARKS = (("drifts", "drift"), ("refits", "refit"))
UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
MANY = 3  # of a unit, from which on it is the axis's


def stream_curve(curve: Sequence[Mapping[str, Any]]) -> str:
    """An SVG file of test-then-train accuracy over time; see `curve_chart`."""
    return curve_chart(curve).as_file(STYLE)


def curve_chart(curve: Sequence[Mapping[str, Any]]) -> Chart:
    """The chart of it, over time; over learned samples where the times are not known.

    Drifts, and refits that were adopted, are marked where they were first seen.

    Parameters
    ----------
    curve
        Points in order, each with ``learned`` and, as shares of one, ``prequential`` and
        ``window``; ``time`` in seconds, ``drifts`` and ``refits`` so far, where they are known; one
        at least.
    """
    places, title = _places(curve)
    percent = {name: [100 * point[name] for point in curve] for name, _ in LINES}
    chart = Chart(
        Axis.over([0.0, *places], title),
        Axis.over([value for values in percent.values() for value in values], "top-1", "%"),
        "Accuracy on each sample before it was learned",
    )
    for series, (name, text) in enumerate(MARKS, len(LINES)):
        counted = [0, *(int(point.get(name, 0)) for point in curve)]
        for place, point, (before, now) in zip(places, curve, pairwise(counted), strict=True):
            if now > before:
                said = f"{text} by sample {point['learned']:,}"
                chart.mark(place, series=series, tooltip=said)
    for series, (name, text) in enumerate(LINES):
        points = list(zip(places, percent[name], strict=True))
        chart.line(points, series=series, tooltip=text)
        chart.label(*points[-1], text)
    return chart


def _places(curve: Sequence[Mapping[str, Any]]) -> tuple[list[float], str]:
    """Where the points lie on the axis, and its title."""
    times = [point.get("time") for point in curve]
    known = [float(time) for time in times if time is not None]
    if len(known) < len(times) or known[-1] <= known[0] or known != sorted(known):
        return [float(point["learned"]) for point in curve], "samples learned"
    span = known[-1] - known[0]
    length, unit = next(((n, name) for n, name in UNITS if span >= MANY * n), UNITS[-1])
    title = f"{unit} since its first point, {curve[-1]['learned']:,} samples learned"
    return [(time - known[0]) / length for time in known], title
