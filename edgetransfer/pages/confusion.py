"""The confusion matrix, whose cells open the photos in them."""

from __future__ import annotations

import numpy as np

from edgetransfer.pages.galleries import Galleries
from edgetransfer.pages.html import count, plain
from edgetransfer.pages.selection import IN_CELL, Selection
from edgetransfer.types import IntArray

MOST_CLASSES = 120  # drawn; of more, those with most mistakes
NAMED = 45  # classes, up to which their names stand beside the matrix
COUNTED = 25  # classes, up to which a cell's number stands in it
WIDTH = 760  # pixels of the largest matrix
PAIRS = 15  # that are listed


def drawn_classes(confusion: IntArray) -> list[int]:
    """The classes that are drawn, in label order."""
    if len(confusion) <= MOST_CLASSES:
        return list(range(len(confusion)))
    wrong = confusion - np.diag(np.diagonal(confusion))
    involved = wrong.sum(axis=0) + wrong.sum(axis=1)
    return sorted(np.argsort(-involved, kind="stable")[:MOST_CLASSES].tolist())


def matrix(selection: Selection, galleries: Galleries) -> str:
    """The matrix and what its cells open."""
    confusion = selection.part.accuracy.confusion
    shown = drawn_classes(confusion)
    cells = "".join(_opened(galleries, key, photos) for key, photos in selection.cells.items())
    left_out = len(confusion) - len(shown)
    remark = (
        f'<p class="muted">The {len(shown)} classes with most mistakes; {left_out:,} others are '
        "left out.</p>"
        if left_out
        else ""
    )
    return f'{remark}<div class="wide">{_drawn(selection, confusion, shown)}</div>{cells}'


def _drawn(selection: Selection, confusion: IntArray, shown: list[int]) -> str:
    classes = selection.examination.classes
    side = max(6.0, min(28.0, WIDTH / len(shown)))
    named = len(shown) <= NAMED
    left, top = (150.0, 110.0) if named else (16.0, 16.0)
    extent = side * len(shown)
    width, height = left + extent + 4, top + extent + 4
    parts = [f'<rect class="none" x="{left}" y="{top}" width="{extent:g}" height="{extent:g}"/>']
    if named:
        parts += [_names(classes[label], i, left, top, side) for i, label in enumerate(shown)]
    totals = np.maximum(confusion.sum(axis=1), 1)
    for row, label in enumerate(shown):
        for column, other in enumerate(shown):
            number = int(confusion[label, other])
            if number:
                x, y = left + column * side, top + row * side
                depth = 0.35 + 0.65 * number / int(totals[label])
                name = (
                    f"{plain(classes[label], 40)} taken for {plain(classes[other], 40)}: {number}"
                )
                inside = (
                    f'<rect class="{"hit" if label == other else "miss"}" x="{x:g}" y="{y:g}" '
                    f'width="{side - 0.5:g}" height="{side - 0.5:g}" fill-opacity="{depth:.2f}"/>'
                )
                if len(shown) <= COUNTED:
                    inside += (
                        f'<text class="on" x="{x + side / 2:g}" y="{y + side / 2 + 4:g}" '
                        f'text-anchor="middle">{number}</text>'
                    )
                if (label, other) in selection.cells:
                    parts.append(f'<a href="#c{label}-{other}" aria-label="{name}">{inside}</a>')
                else:
                    parts.append(f"<g><title>{name}</title>{inside}</g>")
    return (
        f'<svg class="matrix" role="group" aria-label="Confusion matrix" width="{width:g}" '
        f'height="{height:g}" viewBox="0 0 {width:g} {height:g}">{"".join(parts)}</svg>'
    )


def _names(name: str, place: int, left: float, top: float, side: float) -> str:
    middle = place * side + side / 2
    short = plain(name, 22)
    x, y = left + middle + 3, top - 6
    return (
        f'<text x="{left - 6:g}" y="{top + middle + 4:g}" text-anchor="end">{short}</text>'
        f'<text x="{x:g}" y="{y:g}" transform="rotate(-50 {x:g} {y:g})">{short}</text>'
    )


def _opened(galleries: Galleries, key: tuple[int, int], photos: list[int]) -> str:
    label, other = key
    name = galleries.name(label)
    title = f"{name}, recognised" if label == other else f"{name} taken for {galleries.name(other)}"
    more = len(photos) - IN_CELL
    return (
        f'<section class="cell" id="c{label}-{other}"><h3>{title}: '
        f"{count(len(photos), 'photo')}</h3>"
        f"{galleries.photos(photos[:IN_CELL], galleries.mistaken)}"
        + (f'<p class="muted">and {count(more, "more photo")}</p>' if more > 0 else "")
        + '<p><a href="#confusion">close</a></p></section>'
    )


def pairs(selection: Selection, galleries: Galleries) -> str:
    """The pairs of classes that are confused most, in words."""
    wrong = [(key, photos) for key, photos in selection.cells.items() if key[0] != key[1]]
    if not wrong:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{galleries.name(key[0])}</th><td class="left">'
        f"{galleries.name(key[1])}</td>"
        f'<td><a href="#c{key[0]}-{key[1]}">{count(len(photos), "photo")}</a></td></tr>'
        for key, photos in wrong[:PAIRS]
    )
    return (
        '<div class="wide"><table><thead><tr><th scope="col">class</th><th scope="col" '
        'class="left">taken for</th><th scope="col">how often</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
