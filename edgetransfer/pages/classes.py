"""What each class has, and what it lacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.findings import Examination
from edgetransfer.metrics import wilson_interval
from edgetransfer.pages.html import count, head, share, table, text
from edgetransfer.pages.selection import Selection
from edgetransfer.reprs import short_repr

MOST = 400  # classes that are listed, the weakest
OPEN = 12  # of these, that are seen at once
FEW = 10  # photos to learn from, below which more would help most
HIDDEN = 0.75  # of the accuracy over all: a class below is worth a look


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class.

    Parameters
    ----------
    label
        Its place.
    counts
        Photos in each split.
    tested, right
        Of the split that the run is judged by.
    confused
        The class that its photos are most often taken for, and how many; None if none is.
    doubtful, copies, outliers
        How many of its photos are so.
    """

    label: int
    counts: tuple[int, ...]
    tested: int
    right: int
    confused: tuple[int, int] | None
    doubtful: int
    copies: int
    outliers: int

    __repr__ = short_repr

    @property
    def accuracy(self) -> float:
        """NaN where nothing was tested."""
        return self.right / self.tested if self.tested else float("nan")


def class_rows(selection: Selection) -> list[ClassRow]:
    """All classes, those with the lowest accuracy first."""
    found = selection.examination
    k = len(found.classes)
    confusion = selection.part.accuracy.confusion
    counts = [np.bincount(part.labels, minlength=k) for part in found.parts]
    doubtful = np.bincount(found.labels[found.wrong], minlength=k)
    copies = np.bincount(found.labels[np.unique(found.duplicates.pairs)], minlength=k)
    outliers = np.bincount(found.labels[found.outliers], minlength=k)
    rows = []
    for label in range(k):
        taken = confusion[label].copy()
        taken[label] = 0
        other = int(taken.argmax())
        rows.append(
            ClassRow(
                label=label,
                counts=tuple(int(c[label]) for c in counts),
                tested=int(confusion[label].sum()),
                right=int(confusion[label, label]),
                confused=(other, int(taken[other])) if taken[other] else None,
                doubtful=int(doubtful[label]),
                copies=int(copies[label]),
                outliers=int(outliers[label]),
            )
        )
    return sorted(rows, key=lambda row: (row.accuracy if row.tested else 2.0, row.label))


def remarks(row: ClassRow, found: Examination, overall: float) -> list[str]:
    """What a class lacks, as HTML."""
    said = []
    splits = [part.split for part in found.parts]
    if "train" in splits and (n := row.counts[splits.index("train")]) < FEW:
        said.append(f"only {n} to learn from")
    if row.tested and row.accuracy < HIDDEN * overall:
        said.append("well below the whole")
    if not row.tested:
        said.append("not tested: there is no other photo of it")
    if row.confused is not None:
        other, times = row.confused
        said.append(f"{times} taken for {text(found.classes[other], 40)}")
    for number, what in (
        (row.doubtful, "doubtful label"),
        (row.copies, "photo with a copy"),
        (row.outliers, "outlier"),
    ):
        if number:
            plural = "photos with copies" if what.startswith("photo") else f"{what}s"
            said.append(f"{number} {what if number == 1 else plural}")
    return said


def class_table(selection: Selection) -> str:
    """The table."""
    found = selection.examination
    rows = class_rows(selection)
    overall = selection.part.accuracy.top1
    heads = head("class", *(part.split for part in found.parts), "accuracy", "95 % interval")
    heads += head("remarks", left=True)

    def listed(part: list[ClassRow], name: str) -> str:
        body = "".join(
            f'<tr><th scope="row">{text(found.classes[row.label], 40)}</th>'
            + "".join(f"<td>{number:,}</td>" for number in row.counts)
            + f"<td>{share(row.accuracy)}</td><td>{_range(row)}</td>"
            f'<td class="left">{"; ".join(remarks(row, found, overall))}</td></tr>'
            for row in part
        )
        return table(name, heads, body)

    rest = rows[OPEN:MOST]
    if not rest:
        return listed(rows, "All classes")
    left_out = len(rows) - len(rest) - OPEN
    more = f'<p class="muted">and {left_out:,} with higher accuracy</p>' if left_out else ""
    weakest, others = listed(rows[:OPEN], "The weakest classes"), listed(rest, "The others")
    summary = count(len(rest), "more class", "more classes")
    return f"{weakest}<details><summary>{summary}</summary>{others}{more}</details>"


def _range(row: ClassRow) -> str:
    """The interval on a line from 0 to 100 %."""
    if not row.tested:
        return ""
    low, high = wilson_interval(row.right, row.tested)
    return (
        f'<svg class="range" role="img" aria-label="{100 * low:.0f} to {100 * high:.0f} percent" '
        'viewBox="0 0 120 14"><rect x="4" y="6" width="112" height="2"/>'
        f'<line x1="{4 + 112 * low:.1f}" x2="{4 + 112 * high:.1f}" y1="7" y2="7"/>'
        f'<circle cx="{4 + 112 * row.accuracy:.1f}" cy="7" r="4"/></svg>'
    )
