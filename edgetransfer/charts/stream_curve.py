"""How a stream's accuracy went, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgetransfer.charts.benchmark_style import STYLE
from edgetransfer.charts.svg import Axis, Chart

LINES = (("window", "the last samples"), ("prequential", "all so far"))


def stream_curve(curve: Sequence[Mapping[str, Any]]) -> str:
    """An SVG file of test-then-train accuracy over learned samples.

    Parameters
    ----------
    curve
        Points in order, each with ``learned`` and, as shares of one, ``prequential`` and
        ``window``; one at least.
    """
    learned = [float(point["learned"]) for point in curve]
    percent = {name: [100 * point[name] for point in curve] for name, _ in LINES}
    chart = Chart(
        Axis.over([0.0, *learned], "samples learned"),
        Axis.over([value for values in percent.values() for value in values], "top-1", "%"),
        "Accuracy on each sample before it was learned",
    )
    for series, (name, title) in enumerate(LINES):
        points = list(zip(learned, percent[name], strict=True))
        chart.line(points, series=series, tooltip=title)
        chart.label(*points[-1], title)
    return chart.as_file(STYLE)
