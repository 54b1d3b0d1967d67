"""What a comparison compares: backbones and data sets under names that no other has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetransfer.backbones import Backbone
from edgetransfer.errors import UsageError
from edgetransfer.metrics.conventions import NAMELESS, Metric, metric_of
from edgetransfer.names import readable
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
    """

    name: str
    path: Path
    fingerprint: str
    metric: Metric
    tested_on: str
    held_out: float


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
                name=_own_name(backbone.name, [other.name for other in found]),
                given=given,
                sha256=backbone.sha256,
                sparsity=backbone.sparsity,
                pruned_filters=backbone.sparsity_report.pruned_filters,
            )
        )
    return found


def open_tasks(settings: ComparisonSettings) -> list[Task]:
    """The data sets; of one without test and validation photos a fifth is held out.

    Raises
    ------
    DataError
        If one cannot be used.
    """
    found: list[Task] = []
    for path in settings.data:
        splits = load_splits(
            settings.training(settings.baseline, path, settings.out, seed=0, held_out=0)
        )
        found.append(
            Task(
                name=_own_name(_title(path), [other.name for other in found]),
                path=path,
                fingerprint=splits.fingerprint,
                metric=metric_of(settings.metric, path),
                tested_on="test" if splits.test else "val",
                held_out=0.0 if splits.test or splits.val else HELD_OUT,
            )
        )
    return found


def _title(path: Path) -> str:
    path = path.resolve()
    name = path.stem if path.is_file() else path.name
    return readable(path.parent.name if name.lower() in NAMELESS else name)


def _own_name(name: str, others: Sequence[str]) -> str:
    number, made = 2, name
    while made in others:
        made = f"{name}-{number}"
        number += 1
    return made
