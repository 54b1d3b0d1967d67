"""What a comparison compares: backbones and data sets under names that no other has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgetransfer.backbones import Backbone
from edgetransfer.errors import UsageError
from edgetransfer.metrics.conventions import NAMELESS, Metric, metric_of
from edgetransfer.names import readable
from edgetransfer.paths import without_query
from edgetransfer.reports.compare import ComparedBackboneRecord
from edgetransfer.settings.compare import HELD_OUT, ComparisonSettings
from edgetransfer.train.opening import load_splits


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A backbone.

    Parameters
    ----------
    given
        As it was named.
    pruned_filters
        The share of its convolutions' filters without a weight left.
    """

    name: str
    given: str
    sha256: str
    sparsity: float
    pruned_filters: float

    @property
    def record(self) -> ComparedBackboneRecord:
        """For the report."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "sparsity": self.sparsity,
            "pruned_filters": self.pruned_filters,
        }


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features of a data set's photos by one backbone.

    Parameters
    ----------
    path
        The folder of tables.
    fingerprint
        Of the photos' names and labels, and of what made the features.
    """

    path: Path
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set.

    Parameters
    ----------
    fingerprint
        Of its photos' names and labels.
    tested_on
        ``test`` or ``val``.
    held_out
        The share of the training photos that is held out as ``val``.
    features
        By the sha256 of each backbone, where there are these in place of the photos.
    """

    name: str
    path: Path
    fingerprint: str
    metric: Metric
    tested_on: str
    held_out: float
    features: Mapping[str, Features] = field(default_factory=dict, hash=False)

    def seen_by(self, contestant: Contestant) -> Features:
        """What a training with that backbone is given."""
        given = Features(path=self.path, fingerprint=self.fingerprint)
        return self.features.get(contestant.sha256, given)


def open_contestants(settings: ComparisonSettings) -> list[Contestant]:
    """The baseline, then the others.

    Raises
    ------
    BackboneError
        If one cannot be read.
    UsageError
        If two are the same file.
    """
    found: list[Contestant] = []
    for given in (settings.baseline, *settings.backbones):
        backbone = Backbone.open(given)
        for other in found:
            if other.sha256 == backbone.sha256:
                raise UsageError(f"{given} and {other.given} are the same backbone")
        found.append(
            Contestant(
                name=own_name(backbone.name, [other.name for other in found]),
                given=given,
                sha256=backbone.sha256,
                sparsity=backbone.sparsity,
                pruned_filters=backbone.sparsity_report.pruned_filters,
            )
        )
    return found


def photo_task(settings: ComparisonSettings, path: Path) -> Task:
    """A data set of photos; of one without test and validation photos a fifth is held out.

    Raises
    ------
    DataError
        If it cannot be used.
    """
    splits = load_splits(
        settings.training(settings.baseline, path, settings.out, seed=0, held_out=0)
    )
    return Task(
        name=_title(path),
        path=path,
        fingerprint=splits.fingerprint,
        metric=metric_of(settings.metric, path),
        tested_on="test" if splits.test else "val",
        held_out=0.0 if splits.test or splits.val else HELD_OUT,
    )


def _title(path: Path) -> str:
    path = without_query(path).resolve()
    name = path.stem if path.is_file() else path.name
    return readable(path.parent.name if name.lower() in NAMELESS else name)


def own_name(name: str, others: Sequence[str]) -> str:
    """A name with a number behind it, if others have it already."""
    number, made = 2, name
    while made in others:
        made = f"{name}-{number}"
        number += 1
    return made
