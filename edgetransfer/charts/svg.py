"""Small charts as SVG text that needs nothing beside it.

Colours are the CSS variables ``--series-0`` and so on, and ``currentColor``, so that the page that
holds a chart decides on light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 50
CHARACTER, LINE = 6.8, 15.0  # of the labels, in pixels, at the page's font size of 12
SERIES = 8  # colours

Box = tuple[float, float, float, float]
"""left, top, right, bottom"""


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic scale with its ticks.

    Parameters
    ----------
    low, high
        What the ends show.
    title
        With its unit.
    unit
        Written after each tick's number.
    logarithmic
        Whether equal lengths are equal factors; all values are above 0.
    """

    low: float
    high: float
    title: str
    ticks: tuple[float, ...]
    unit: str = ""
    logarithmic: bool = False

    @classmethod
    def of_factors(cls, values: Sequence[float], title: str) -> Axis:
        """A logarithmic scale that holds all values, from a power of ten to another."""
        first = math.floor(math.log10(min(values)))
        last = max(math.ceil(math.log10(max(values))), first + 1)
        ticks = tuple(10.0**power for power in range(first, last + 1))
        return cls(ticks[0], ticks[-1], title, ticks, logarithmic=True)

    @classmethod
    def over(cls, values: Sequence[float], title: str, unit: str = "") -> Axis:
        """A scale that holds all values, from one round tick to another."""
        low, high = min(values), max(values)
        step = _round_step((high - low) / 5 or abs(high) / 5 or 1.0)
        first, last = math.floor(low / step), math.ceil(high / step)
        last = max(last, first + 1)
        ticks = tuple(round(i * step, 10) for i in range(first, last + 1))
        return cls(ticks[0], ticks[-1], title, ticks, unit)

    def at(self, value: float) -> float:
        """Where a value lies, 0 to 1."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def _round_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * 0.999)


class Chart:
    """A chart under construction."""

    def __init__(self, x: Axis, y: Axis, description: str) -> None:
        self._x, self._y = x, y
        self._taken: list[Box] = []
        self._parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">'
        ]
        self._frame()

    def _place(self, x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + self._x.at(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - self._y.at(y) * (HEIGHT - TOP - BOTTOM),
        )

    def _frame(self) -> None:
        bottom = HEIGHT - BOTTOM
        for tick in self._y.ticks:
            _, y = self._place(self._x.low, tick)
            self._parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            self._text(LEFT - 6, y + 4, f"{tick:g}{self._y.unit}", "end")
        for tick in self._x.ticks:
            x, _ = self._place(tick, self._y.low)
            self._parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
            self._text(x, bottom + 18, f"{tick:g}{self._x.unit}", "middle")
        self._parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        self._text(middle, HEIGHT - 10, self._x.title, "middle", "title")
        height = (TOP + bottom) / 2
        self._parts.append(
            f'<text class="title" text-anchor="middle" transform="translate(13 {height:.0f}) '
            f'rotate(-90)">{escape(self._y.title)}</text>'
        )

    def _text(self, x: float, y: float, text: str, anchor: str, kind: str = "label") -> None:
        self._parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def point(
        self,
        x: float,
        y: float,
        *,
        series: int,
        tooltip: str,
        hollow: bool = False,
        size: float = 5,
    ) -> None:
        """A dot, or a ring, of a radius in pixels."""
        left, top = self._place(x, y)
        room = size + 1
        self._taken.append((left - room, top - room, left + room, top + room))
        paint = f'{_stroke(series)} fill="none" stroke-width="1.5"' if hollow else _fill(series)
        self._parts.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{size:g}" {paint}>'
            f"<title>{escape(tooltip)}</title></circle>"
        )

    def interval(self, low: float, high: float, y: float, *, series: int) -> None:
        """A horizontal line from low to high."""
        (start, top), (end, _) = self._place(low, y), self._place(high, y)
        self._taken.append((start, top - 2, end, top + 2))
        self._parts.append(
            f'<path {_stroke(series)} stroke-width="1.5" d="M{start:.1f} {top:.1f}H{end:.1f}"/>'
        )

    def line(
        self,
        points: Sequence[tuple[float, float]],
        *,
        series: int | None,
        tooltip: str,
        dashes: str = "",
    ) -> None:
        """A line through points; grey without a series; ``dashes`` are SVG's, as ``5 4``."""
        path = "M" + "L".join("{:.1f} {:.1f}".format(*self._place(*point)) for point in points)
        paint = 'class="reference"' if series is None else f'{_stroke(series)} stroke-width="2"'
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(
            f'<path {paint}{dashed} fill="none" d="{path}"><title>{escape(tooltip)}</title></path>'
        )

    def upright(self, x: float, low: float, high: float, *, series: int) -> None:
        """A vertical line from low to high."""
        (left, start), (_, end) = self._place(x, low), self._place(x, high)
        self._taken.append((left - 2, end, left + 2, start))
        self._parts.append(
            f'<path {_stroke(series)} stroke-width="1.5" d="M{left:.1f} {start:.1f}V{end:.1f}"/>'
        )

    def mark(self, x: float, *, series: int, tooltip: str) -> None:
        """A dashed line from top to bottom: something happened there."""
        left, bottom = self._place(x, self._y.low)
        self._parts.append(
            f'<path {_stroke(series)} stroke-width="1.5" stroke-dasharray="3 3" '
            f'd="M{left:.1f} {TOP}V{bottom:.1f}"><title>{escape(tooltip)}</title></path>'
        )

    def levels(self, values: Sequence[float], *, series: int, tooltip: str) -> None:
        """A dash for each value: i from x = i to i + 1."""
        path = ""
        for i, value in enumerate(values):
            (start, top), (end, _) = self._place(i, value), self._place(i + 1, value)
            path += f"M{start + 0.5:.1f} {top:.1f}H{end - 0.5:.1f}"
        self._parts.append(
            f'<path {_stroke(series)} stroke-width="3" d="{path}">'
            f"<title>{escape(tooltip)}</title></path>"
        )

    def label(self, x: float, y: float, text: str) -> None:
        """A text near a point, where it covers neither a point nor another text, if it can.

        All points must have been drawn.
        """
        left, top = self._place(x, y)
        wide = CHARACTER * len(text)
        for distance in (9.0, 14.0, 22.0, 32.0, 44.0):
            for anchor, dx, dy in _AROUND:
                at_x, at_y = left + dx * distance, top + dy * distance
                start = at_x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
                box = (start, at_y - LINE / 2, start + wide, at_y + LINE / 2)
                inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= 0
                if (
                    inside
                    and box[3] <= HEIGHT - BOTTOM
                    and not any(_overlap(box, other) for other in self._taken)
                ):
                    self._taken.append(box)
                    if distance > 14:
                        self._parts.append(
                            f'<path class="leader" d="M{left:.1f} {top:.1f}'
                            f'L{at_x:.1f} {at_y:.1f}"/>'
                        )
                    self._text(at_x, at_y + 4, text, anchor)
                    return
        # No room: the tooltip and the table have it.

    def finished(self) -> str:
        """The chart as one SVG element."""
        return "".join([*self._parts, "</svg>"])

    def as_file(self, style: str) -> str:
        """The chart as the text of an SVG file; ``style`` is the CSS that it needs."""
        opened = self._parts[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        paper = '<rect width="100%" height="100%" fill="var(--page)"/>'
        css = f"<style>{escape(style, quote=False)}</style>"
        return "".join([opened, css, paper, *self._parts[1:], "</svg>\n"])


_AROUND = (
    ("start", 1.0, 0.0),
    ("end", -1.0, 0.0),
    ("middle", 0.0, -1.6),
    ("middle", 0.0, 1.6),
    ("start", 0.8, -1.2),
    ("start", 0.8, 1.2),
    ("end", -0.8, -1.2),
    ("end", -0.8, 1.2),
)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _fill(series: int) -> str:
    return f'fill="var(--series-{series % SERIES})"'


def _stroke(series: int) -> str:
    return f'stroke="var(--series-{series % SERIES})"'
