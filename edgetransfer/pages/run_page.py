"""A run's page: how good it is, what it gets wrong, what is doubtful, how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgetransfer.findings import Examination
from edgetransfer.metrics import Accuracy, wilson_interval
from edgetransfer.pages.album import Album
from edgetransfer.pages.classes import class_table
from edgetransfer.pages.confusion import matrix, pairs
from edgetransfer.pages.embedding import embedding_map
from edgetransfer.pages.galleries import Galleries
from edgetransfer.pages.html import count, framed, head, plain, share, table, text
from edgetransfer.pages.selection import Selection
from edgetransfer.pages.style import SCRIPT, STYLE
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.reprs import short_repr
from edgetransfer.types import Progress, no_progress

WARNINGS = 20  # that are shown
SKIPPED = 50  # photos that are named


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """What a page is made from.

    Parameters
    ----------
    title
        Such as the run's name.
    examination
        What was found.
    facts
        How it was made: names and values, in order.
    stages
        Seconds that each stage took.
    command
        What makes it again; empty if that is not known.
    warnings
        What a person should know first.
    skipped
        Photos that could not be used: ``id`` and ``reason``.
    """

    title: str
    examination: Examination
    facts: Sequence[tuple[str, str]] = ()
    stages: dict[str, float] = field(default_factory=dict)
    command: str = ""
    warnings: Sequence[str] = ()
    skipped: Sequence[SkippedRecord] = ()

    __repr__ = short_repr


def run_page(page: RunPage, *, threads: int = 1, progress: Progress = no_progress) -> str:
    """The page as one HTML file: no network, no other file, 6.5 MB at most.

    It depends on the photos and on what it is made from alone: ``threads`` change nothing.
    """
    selection = Selection(examination=page.examination)
    album = Album(page.examination.samples, selection.wanted(), threads=threads, progress=progress)
    galleries = Galleries(selection, album)
    sections = [
        ("accuracy", "Accuracy", _accuracy(page.examination)),
        ("classes", "Classes", class_table(selection)),
        (
            "confusion",
            "Confusion",
            '<p class="muted">A row is what photos are, a column what they were taken for; a cell '
            "opens its photos.</p>" + pairs(selection, galleries) + matrix(selection, galleries),
        ),
        ("mistakes", "Surest mistakes", galleries.mistakes()),
        ("unsure", "Least sure", galleries.unsure()),
        ("labels", "Probably wrong labels", _LABELS + galleries.wrong_labels()),
        ("copies", "The same picture twice", _copies(page.examination) + galleries.copies()),
        ("outliers", "Outliers", _OUTLIERS + galleries.outliers()),
        ("map", "Map", embedding_map(selection)),
        ("made", "How it was made", _made(page)),
    ]
    links = "".join(f'<li><a href="#{key}">{title}</a></li>' for key, title, _ in sections)
    body = "\n".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{title}</h2>{content}</section>'
        for key, title, content in sections
    )
    top = (
        f"<header><h1>{text(page.title, 120)}</h1>{_tiles(page, selection)}{_warnings(page)}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
    )
    return framed(page.title, f"{album.definitions}<main>{top}\n{body}</main>", STYLE, SCRIPT)


_LABELS = (
    '<p class="muted">By confident learning (Northcutt, Jiang and Chuang, 2021), from what heads '
    "say that were fitted without the photo. They are doubtful, not proven wrong.</p>"
)
_OUTLIERS = (
    '<p class="muted">Photos whose third-nearest photo of their class is much farther away than '
    "is usual in the class.</p>"
)


def _tiles(page: RunPage, selection: Selection) -> str:
    found, part = page.examination, selection.part
    accuracy = part.accuracy
    low, high = wilson_interval(int(accuracy.confusion.trace()), accuracy.count)
    tiles = [
        (
            f"accuracy, {plain(part.method)}",
            f"{share(accuracy.top1)}<small>{share(low)} to {share(high)}, "
            f"{count(accuracy.count, 'photo')}</small>"
            if accuracy.count
            else "not known<small>one photo a class: none to leave out</small>",
        ),
        ("mean of the classes", share(accuracy.mean_per_class)),
        (
            "photos",
            f"{len(found.samples):,}<small>{count(len(found.classes), 'class', 'classes')}</small>",
        ),
        ("doubtful labels", f"{len(found.wrong):,}"),
        ("pairs of the same picture", f"{len(found.duplicates.pairs):,}"),
    ]
    inside = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{inside}</dl>'


def _warnings(page: RunPage) -> str:
    shown = "".join(
        f'<p class="warn">{plain(warning, 400)}</p>' for warning in page.warnings[:WARNINGS]
    )
    more = len(page.warnings) - WARNINGS
    return shown + (f'<p class="muted">and {count(more, "more warning")}</p>' if more > 0 else "")


def _accuracy(found: Examination) -> str:
    rows = ""
    for place, part in enumerate(found.parts):
        rows += _accuracy_row(part.split, part.method, part.accuracy)
        without = found.accuracy_without_copies(place)
        if without.count < part.accuracy.count:
            rows += _accuracy_row(part.split, "whose picture is there once", without)
    names = ("photos", "tested", "right", "top-1", "95 % interval", "mean of the classes")
    return table("Accuracy by split", head(*names), rows)


def _accuracy_row(split: str, method: str, accuracy: Accuracy) -> str:
    right = int(accuracy.confusion.trace())
    low, high = wilson_interval(right, accuracy.count)
    interval = f"{share(low)} to {share(high)}" if accuracy.count else "–"
    return (
        f'<tr><th scope="row">{split} <small>{plain(method)}</small></th>'
        f"<td>{accuracy.count:,}</td><td>{right:,}</td><td>{share(accuracy.top1)}</td>"
        f"<td>{interval}</td><td>{share(accuracy.mean_per_class)}</td></tr>"
    )


def _copies(found: Examination) -> str:
    remark = (
        '<p class="muted">Photos whose features are alike and whose pixels agree, also when one '
        "was scaled, compressed again, mirrored, turned or tinted. On both sides of a test they "
        "make it too good.</p>"
    )
    if not found.compared_all:
        remark += '<p class="muted">There are so many alike that only the likest were compared.</p>'
    return remark


def _made(page: RunPage) -> str:
    facts = "".join(f"<dt>{plain(k)}</dt><dd>{plain(v, 200)}</dd>" for k, v in page.facts)
    parts = [f'<dl class="facts">{facts}</dl>']
    if page.stages:
        rows = "".join(
            f'<tr><th scope="row">{plain(name)}</th><td>{seconds:,.1f} s</td></tr>'
            for name, seconds in page.stages.items()
        )
        parts.append(table("Time by stage", head("stage", "time"), rows))
    if page.command:
        parts.append(f"<p>To make it again:</p><pre>{plain(page.command, 4000)}</pre>")
    if page.skipped:
        listed = "".join(
            f"<li>{text(r.get('id', ''))}: {plain(r.get('reason', ''), 200)}</li>"
            for r in page.skipped[:SKIPPED]
        )
        more = len(page.skipped) - SKIPPED
        rest = f"<li>and {count(more, 'other')}</li>" if more > 0 else ""
        parts.append(
            f"<details><summary>{count(len(page.skipped), 'photo')} could not be used</summary>"
            f"<ul>{listed}{rest}</ul></details>"
        )
    return "".join(parts)
