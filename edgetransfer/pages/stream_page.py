"""A stream's page: how its accuracy went, by class, and what it confuses. It keeps no photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgetransfer.charts.stream_curve import curve_chart
from edgetransfer.metrics import wilson_interval
from edgetransfer.pages.html import count, framed, head, share, table, text
from edgetransfer.pages.style import CHART_STYLE, STYLE
from edgetransfer.reprs import short_repr

MOST = 400  # classes that are listed, the weakest
PAIRS = 15  # of classes that are confused
NONE = float("nan")


@dataclass(frozen=True, kw_only=True)
class StreamPage:
    """What the page is made from.

    Parameters
    ----------
    title
        Such as the run's name.
    classes
        Their names.
    report
        As report.json has it.
    scored
        Of each class, how many samples were predicted before they were learned.
    cells
        Of the confusion matrix where it is not zero: class, taken for, how often.
    curve
        Points of the accuracy, in order; see `edgetransfer.charts.stream_curve`.
    """

    title: str
    classes: Sequence[str]
    report: Mapping[str, Any]
    scored: Sequence[int]
    cells: Sequence[tuple[int, int, int]]
    curve: Sequence[Mapping[str, Any]] = ()

    __repr__ = short_repr


def stream_page(page: StreamPage) -> str:
    """The page as one HTML file: no network, no other file, 1 MB at most."""
    sections = [("Accuracy", _accuracy(page)), ("Classes", _classes(page))]
    if confused := _confused(page):
        sections.append(("Confused", confused))
    body = "".join(f"<section><h2>{title}</h2>{content}</section>" for title, content in sections)
    top = f"<header><h1>{text(page.title, 120)}</h1>{_tiles(page)}</header>"
    return framed(page.title, f"<main>{top}{body}</main>", STYLE + CHART_STYLE, "")


def _tiles(page: StreamPage) -> str:
    report = page.report
    right, total = _right(page), sum(page.scored)
    low, high = wilson_interval(sum(right), total)
    drift = report["drift"]
    tiles = [
        (
            "accuracy before learning",
            f"{_share(report['prequential']['top1'])}<small>{share(low)} to {share(high)}, "
            f"{count(total, 'sample')}</small>"
            if total
            else "not known",
        ),
        ("of the last samples", _share(report["window"]["top1"])),
        ("learned", f"{report['learned']:,}<small>of {report['accepted']:,} accepted</small>"),
        ("classes", f"{len(page.classes):,}"),
        ("drift alarms", f"{drift['alarms']:,}"),
    ]
    inside = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{inside}</dl>'


def _accuracy(page: StreamPage) -> str:
    report = page.report
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{_share(report[key]["top1"])}</td>'
        f"<td>{_share(report[key]['mean_per_class'])}</td></tr>"
        for name, key in (
            ("all samples", "prequential"),
            ("the last samples", "window"),
            ("fading", "fading"),
        )
    )
    shown = table("Accuracy over time", head("over", "top-1", "mean of the classes"), rows)
    remark = (
        '<p class="muted">Each sample was predicted before it was learned (Gama, Sebastião and '
        "Rodrigues, 2013).</p>"
    )
    if not page.curve:
        return remark + shown
    return f'{remark}{shown}<div class="chart">{curve_chart(page.curve).finished()}</div>'


def _right(page: StreamPage) -> list[int]:
    right = [0] * len(page.classes)
    for label, predicted, times in page.cells:
        if label == predicted:
            right[label] += times
    return right


def _classes(page: StreamPage) -> str:
    learned = page.report["class_counts"]
    right = _right(page)
    accuracy = [
        hits / total if total else NONE for hits, total in zip(right, page.scored, strict=True)
    ]
    order = sorted(
        range(len(page.classes)), key=lambda k: (accuracy[k] if page.scored[k] else 2.0, k)
    )
    body = "".join(
        f'<tr><th scope="row">{text(page.classes[k], 40)}</th>'
        f"<td>{learned.get(page.classes[k], 0):,}</td><td>{page.scored[k]:,}</td>"
        f"<td>{share(accuracy[k])}</td></tr>"
        for k in order[:MOST]
    )
    more = len(order) - MOST
    rest = f'<p class="muted">and {more:,} with higher accuracy</p>' if more > 0 else ""
    return table("All classes", head("class", "learned", "scored", "accuracy"), body) + rest


def _confused(page: StreamPage) -> str:
    wrong = sorted((-times, a, b) for a, b, times in page.cells if a != b and times)
    body = "".join(
        f'<tr><th scope="row">{text(page.classes[a], 40)}</th>'
        f'<td class="left">{text(page.classes[b], 40)}</td><td>{-times:,}</td></tr>'
        for times, a, b in wrong[:PAIRS]
    )
    heads = head("class") + head("taken for", left=True) + head("times")
    return table("Classes that are confused", heads, body) if body else ""


def _share(value: float | None) -> str:
    return share(NONE if value is None else value)
