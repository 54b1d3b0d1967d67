"""Lists of photos: mistakes, doubtful labels, copies, outliers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgetransfer.findings import Examination
from edgetransfer.pages.album import Album
from edgetransfer.pages.html import count, share, text
from edgetransfer.pages.selection import GROUPS, IN_GROUP, Selection

Caption = Callable[[int], str]


class Galleries:
    """The lists of a page.

    Parameters
    ----------
    selection
        Which photos they hold.
    album
        Their pictures.
    """

    def __init__(self, selection: Selection, album: Album) -> None:
        self.selection = selection
        self.found: Examination = selection.examination
        self.album = album

    def photos(self, places: Sequence[int], caption: Caption) -> str:
        """Photos side by side."""
        items = "".join(
            f"<li>{self.album.shown(place, self.found.samples[place].id)}"
            f"{caption(place)}<br><small>{text(self.found.samples[place].id)}</small></li>"
            for place in places
        )
        return f'<ul class="photos">{items}</ul>'

    def name(self, label: int) -> str:
        """A class by its name."""
        return text(self.found.classes[label], 40)

    def mistaken(self, place: int) -> str:
        """What a photo is and what it was taken for."""
        label, predicted = int(self.found.labels[place]), int(self.found.predicted[place])
        sure = share(float(self._probability(place, predicted)))
        if label == predicted:
            return f'{self.name(label)} <small class="good">right, {sure}</small>'
        return (
            f'{self.name(label)} <span class="bad">taken for {self.name(predicted)}</span>, {sure}'
        )

    def _probability(self, place: int, label: int) -> float:
        part = int(self.found.splits[place])
        first = sum(len(p.samples) for p in self.found.parts[:part])
        return float(self.found.parts[part].probabilities[place - first, label])

    def mistakes(self) -> str:
        """The surest mistakes."""
        photos = self.selection.mistakes
        if not photos:
            return "<p>None of the tested photos was taken for another class.</p>"
        return self.photos(photos, self.mistaken)

    def unsure(self) -> str:
        """Between two classes."""
        return self.photos(self.selection.unsure, self.mistaken)

    def wrong_labels(self) -> str:
        """Labels to look at."""
        photos = self.selection.wrong
        if not photos:
            return "<p>No label looks wrong.</p>"

        def caption(place: int) -> str:
            label, other = int(self.found.labels[place]), int(self.found.suggested[place])
            return (
                f"labelled {self.name(label)}, <strong>rather {self.name(other)}</strong> "
                f"({share(float(self._probability(place, label)))} against "
                f"{share(float(self._probability(place, other)))})"
            )

        return self.photos(photos, caption) + _more(len(self.found.wrong), len(photos))

    def copies(self) -> str:
        """Groups of photos that show the same picture."""
        groups = self.selection.copies
        if not groups:
            return "<p>No two photos show the same picture.</p>"
        shown = "".join(self._group(group) for group in groups[:GROUPS])
        return f'<div class="groups">{shown}</div>{_more(len(groups), GROUPS, "group")}'

    def _group(self, group: list[int]) -> str:
        found = self.found
        splits = sorted({found.split_of(place) for place in group})
        classes = len({int(found.labels[place]) for place in group})
        remarks = [count(len(group), "photo")]
        if len(splits) > 1:
            remarks.append(f'<strong class="bad">in {" and ".join(splits)}</strong>')
        if classes > 1:
            remarks.append(f'<strong class="bad">in {classes} classes</strong>')
        listed = self.photos(
            group[:IN_GROUP],
            lambda place: (
                f"{self.name(int(found.labels[place]))} <small>{found.split_of(place)}</small>"
            ),
        )
        more = _more(len(group), IN_GROUP)
        return f'<div class="group"><p>{", ".join(remarks)}</p>{listed}{more}</div>'

    def outliers(self) -> str:
        """Photos that are like no other of their class."""
        photos = self.selection.outliers
        if not photos:
            return "<p>No photo stands out from its class.</p>"
        listed = self.photos(photos, lambda place: self.name(int(self.found.labels[place])))
        return listed + _more(len(self.found.outliers), len(photos))


def _more(total: int, shown: int, what: str = "photo") -> str:
    return f'<p class="muted">and {count(total - shown, f"more {what}")}</p>' * (total > shown)
