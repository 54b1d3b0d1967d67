"""The transfer data sets of the literature, and which accuracy each is judged by.

Iofinova et al. (CVPR 2022), table 2: mean per-class accuracy on five of their twelve data sets,
top-1 on the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetransfer.reports.train import MetricName, MetricRecord
from edgetransfer.settings.shared import MetricChoice

TITLES: dict[str, str] = {"top1": "top-1", "mean_per_class": "mean per class"}
# Names of folders that say nothing of the data set: its parent is looked at.
NAMELESS = frozenset(
    ("train", "training", "test", "testing", "val", "valid", "validation", "images", "image", "jpg")
)


@dataclass(frozen=True, kw_only=True)
class KnownDataSet:
    """A data set that is known by the name of its folder.

    Parameters
    ----------
    title
        What the literature calls it.
    names
        Words of which some stand in the folder's name, in this order and with nothing between.
    per_class
        Whether mean per-class accuracy is its convention; top-1 if not.
    difficult
        Whether the paper finetunes it fully at ten times the learning rate (appendix B).
    """

    title: str
    names: tuple[str, ...]
    per_class: bool = False
    difficult: bool = False


KNOWN = (
    KnownDataSet(
        title="FGVC Aircraft", names=("aircraft", "aircrafts"), per_class=True, difficult=True
    ),
    KnownDataSet(
        title="Caltech-101", names=("caltech 101", "101 objectcategories"), per_class=True
    ),
    KnownDataSet(
        title="Caltech-256", names=("caltech 256", "256 objectcategories"), per_class=True
    ),
    KnownDataSet(
        title="Oxford Flowers",
        names=("flowers", "oxfordflowers", "oxfordflower", "flower 102", "102 flower"),
        per_class=True,
    ),
    KnownDataSet(
        title="Oxford-IIIT Pets",
        names=("pets", "oxfordpets", "oxfordiiitpet", "oxfordpet", "oxford pet", "iiit pet"),
        per_class=True,
    ),
    KnownDataSet(
        title="Stanford Cars", names=("cars", "stanfordcars", "stanford car"), difficult=True
    ),
    KnownDataSet(title="SUN397", names=("sun 397",)),
    KnownDataSet(title="Birdsnap", names=("birdsnap",)),
    KnownDataSet(title="CIFAR-10", names=("cifar 10",)),
    KnownDataSet(title="CIFAR-100", names=("cifar 100",)),
    KnownDataSet(title="DTD", names=("dtd",)),
    KnownDataSet(title="Food-101", names=("food 101",)),
)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Which accuracy counts on a data set, and why: ``top1`` or ``mean_per_class``."""

    name: MetricName
    reason: str

    @property
    def title(self) -> str:
        """What people call it."""
        return TITLES[self.name]

    @property
    def record(self) -> MetricRecord:
        """For reports."""
        return {"name": self.name, "reason": self.reason}


def known_data_set(path: Path) -> KnownDataSet | None:
    """The data set that a folder or manifest is named after; None if it is none of these."""
    name = path.stem if path.suffix else path.name
    for parent in path.parents:
        if name.lower() not in NAMELESS:
            break
        name = parent.name
    joined = re.sub(r"object[^a-z]?categories", "objectcategories", name.lower())
    words = re.findall(r"[a-z]+|\d+", joined)
    for known in KNOWN:
        if any(_in(names.split(), words) for names in known.names):
            return known
    return None


def metric_of(choice: MetricChoice, data: Path) -> Metric:
    """The accuracy that counts on a data set: as chosen, or as its convention is.

    Parameters
    ----------
    choice
        ``auto``: mean per class where the data set's name is one that has this convention.
    data
        The folder or manifest.
    """
    if choice != "auto":
        return Metric(
            name="top1" if choice == "top1" else "mean_per_class", reason="asked for by --metric"
        )
    known = known_data_set(data.resolve())
    if known is None:
        return Metric(name="top1", reason="the usual one")
    name: MetricName = "mean_per_class" if known.per_class else "top1"
    return Metric(name=name, reason=f"the convention for {known.title}")


def _in(wanted: Sequence[str], words: Sequence[str]) -> bool:
    length = len(wanted)
    return any(list(words[i : i + length]) == list(wanted) for i in range(len(words) - length + 1))
