"""Doubtful photos copied into folders, to be looked at side by side; none is moved."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.findings import Examination, grouped
from edgetransfer.train import PhotoSorter

WRONG, COPIES, OUTLIERS = "wrong-labels", "copies", "outliers"


def sort_doubtful(found: Examination, folder: Path) -> int:
    """Copy what is doubtful into a folder; returns how many copies there are now.

    ``wrong-labels/CLASS`` has the photos that rather are of that class; ``copies/NUMBER`` those
    that show the same picture; ``outliers/CLASS`` those that are like no other of the class.

    Raises
    ------
    DataError
        If one cannot be copied.
    """
    groups = grouped(found.duplicates.pairs)
    digits = len(str(len(groups)))
    numbers = [f"{i:0{digits}}" for i in range(1, len(groups) + 1)]
    PhotoSorter(folder, ())  # refuses a file of that name before anything is copied
    labels = PhotoSorter(folder / WRONG, found.classes)
    copies = PhotoSorter(folder / COPIES, numbers)
    outliers = PhotoSorter(folder / OUTLIERS, found.classes)
    wanted = [
        *((labels, place, found.classes[found.suggested[place]]) for place in found.wrong),
        *(
            (copies, place, number)
            for number, group in zip(numbers, groups, strict=True)
            for place in group
        ),
        *((outliers, place, found.classes[found.labels[place]]) for place in found.outliers),
    ]
    put = 0
    for sorter, place, name in wanted:
        source = found.samples[place].source
        if isinstance(source, Path):
            sorter.put(source, name)
            put += 1
    return put
