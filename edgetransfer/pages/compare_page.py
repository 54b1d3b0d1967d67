"""Runs side by side as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetransfer.metrics import Accuracy
from edgetransfer.pages.html import count, framed, head, plain, share, table, text
from edgetransfer.pages.style import STYLE
from edgetransfer.reprs import short_repr

MOST = 60  # classes that are listed, those that differ most


@dataclass(frozen=True, kw_only=True)
class CompareRow:
    """One run.

    Parameters
    ----------
    name
        Of the run.
    facts
        What else there is to say, by the column's name.
    accuracy
        On the photos that all were tested on.
    interval
        Of top-1, 95 %.
    difference
        How it differs from the first run, in words; empty of that one.
    """

    name: str
    facts: dict[str, str]
    accuracy: Accuracy
    interval: tuple[float, float]
    difference: str

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class ComparePage:
    """What the page is made from.

    Parameters
    ----------
    method
        How the runs were tested.
    classes
        Their names.
    rows
        The runs.
    """

    method: str
    classes: tuple[str, ...]
    rows: Sequence[CompareRow]

    __repr__ = short_repr


def compare_page(page: ComparePage) -> str:
    """The page as one HTML file."""
    n = page.rows[0].accuracy.count
    body = (
        f"<main><header><h1>{count(len(page.rows), 'run')} side by side</h1>"
        f'<p class="muted">On the same {count(n, "photo")} ({plain(page.method)}). A difference is '
        "tested by McNemar's test against the first run.</p></header>"
        f"<section><h2>Runs</h2>{_runs(page)}</section>"
        f"<section><h2>Classes that differ most</h2>{_classes(page)}</section></main>"
    )
    return framed("Runs side by side", body, STYLE, "")


def _runs(page: ComparePage) -> str:
    names = list(page.rows[0].facts)
    heads = head("run", "top-1", "95 % interval", "mean of the classes")
    heads += head("against the first", left=True) + head(*names)
    body = ""
    for row in page.rows:
        low, high = row.interval
        facts = "".join(f"<td>{plain(row.facts[name])}</td>" for name in names)
        body += (
            f'<tr><th scope="row">{text(row.name)}</th><td>{share(row.accuracy.top1)}</td>'
            f"<td>{share(low)} to {share(high)}</td><td>{share(row.accuracy.mean_per_class)}</td>"
            f'<td class="left">{plain(row.difference, 200)}</td>{facts}</tr>'
        )
    return table("All runs", heads, body)


def _classes(page: ComparePage) -> str:
    values = [row.accuracy.per_class.tolist() for row in page.rows]
    tested = page.rows[0].accuracy.confusion.sum(axis=1).tolist()
    spread = [
        (max(v[label] for v in values) - min(v[label] for v in values), label)
        for label in range(len(page.classes))
        if tested[label]
    ]
    differing = sorted((pair for pair in spread if pair[0] > 0), key=lambda p: (-p[0], p[1]))
    if not differing:
        return "<p>They get the same share of each class right.</p>"
    heads = head("class", "photos", *(row.name for row in page.rows))
    body = "".join(
        f'<tr><th scope="row">{text(page.classes[label], 40)}</th><td>{tested[label]:,}</td>'
        + "".join(f"<td>{share(v[label])}</td>" for v in values)
        + "</tr>"
        for _, label in differing[:MOST]
    )
    more = len(differing) - MOST
    rest = f'<p class="muted">and {count(more, "other")}</p>' if more > 0 else ""
    return table("Classes by run", heads, body) + rest
