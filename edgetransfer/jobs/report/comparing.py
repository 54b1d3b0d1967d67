"""Runs side by side, on the same photos."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.errors import DataError, UsageError
from edgetransfer.findings import PairedTest, Scored, mcnemar
from edgetransfer.metrics import Accuracy, wilson_interval
from edgetransfer.reports.report import ComparisonRecord, RunFactsRecord
from edgetransfer.reprs import short_repr
from edgetransfer.train.finished_run import FinishedRun, finished_run
from edgetransfer.types import Progress, no_progress

ORDER = ("test", "val", "train")


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run of a comparison.

    Parameters
    ----------
    name
        Of its folder.
    facts
        Backbone, its zeros, engine, solver, seconds, as report.json has them.
    accuracy
        On the photos that all runs were tested on.
    against_first
        How it differs from the first run; None of that one.
    """

    name: str
    facts: RunFactsRecord
    accuracy: Accuracy
    against_first: PairedTest | None

    __repr__ = short_repr

    @property
    def interval(self) -> tuple[float, float]:
        """95 %."""
        return wilson_interval(int(self.accuracy.confusion.trace()), self.accuracy.count)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Parameters
    ----------
    split, method
        What they were tested on, and how.
    classes
        Their names.
    runs
        In the order in which they were given.
    """

    split: str
    method: str
    classes: tuple[str, ...]
    runs: tuple[ComparedRun, ...]

    __repr__ = short_repr

    def to_dict(self) -> ComparisonRecord:
        """As JSON values."""
        return {
            "split": self.split,
            "method": self.method,
            "n": self.runs[0].accuracy.count,
            "runs": [
                {
                    "run": run.name,
                    **run.facts,
                    **run.accuracy.shares,
                    "interval": list(run.interval),
                    "per_class": {
                        name: float(value)
                        for name, value in zip(self.classes, run.accuracy.per_class, strict=True)
                        if value == value
                    },
                    "against_first": None
                    if run.against_first is None
                    else {
                        "only_first": run.against_first.only_first,
                        "only_this": run.against_first.only_second,
                        "p": run.against_first.p,
                    },
                }
                for run in self.runs
            ],
        }


def compared(
    paths: Sequence[Path], *, threads: int | None = None, progress: Progress = no_progress
) -> Comparison:
    """Test finished runs on the same photos: their test photos, else those left out.

    Photos are told by their content. Differences from the first run are tested by McNemar's test
    on the photos that one of two got right alone.

    Raises
    ------
    EdgeTransferError
        If there are fewer than two, they have other classes, or no photo in common.
    """
    if len(paths) < 2:
        raise UsageError("--compare needs two runs or more")
    runs = [finished_run(path) for path in paths]
    classes = runs[0].opened.head.classes
    for run in runs[1:]:
        if run.opened.head.classes != classes:
            raise UsageError(
                f"{run.folder.path}: its classes are not those of {runs[0].folder.path}, so they "
                "cannot be compared"
            )
    scored = [run.scored(threads=threads, train=False, progress=progress).parts for run in runs]
    split = _common_split(scored)
    if split is None:
        # One has test photos and another has none: both know their training photos.
        scored = [run.scored(threads=threads, progress=progress).parts for run in runs]
        split = "train"
    parts = [next(p for p in found if p.split == split) for found in scored]
    outcomes = [_outcomes(part) for part in parts]
    common = [key for key in outcomes[0] if all(key in outcome for outcome in outcomes)]
    if not common:
        raise DataError(
            f"{paths[0]} and {paths[1]} were tested on other photos: none is the same to the byte"
        )
    first = [outcomes[0][key] for key in common]
    return Comparison(
        split=split,
        method=parts[0].method,
        classes=classes,
        runs=tuple(
            ComparedRun(
                name=path.resolve().name,
                facts=_facts(run),
                accuracy=_accuracy([outcome[key] for key in common], len(classes)),
                against_first=None
                if place == 0
                else _paired(first, [outcome[key] for key in common]),
            )
            for place, (path, run, outcome) in enumerate(zip(paths, runs, outcomes, strict=True))
        ),
    )


def _common_split(scored: Sequence[Sequence[Scored]]) -> str | None:
    for split in ORDER:
        if all(any(part.split == split for part in parts) for parts in scored):
            return split
    return None


_Outcome = tuple[int, int]
"""A photo's label and what it was taken for."""


def _outcomes(part: Scored) -> dict[bytes, _Outcome]:
    """Of each photo that counts, by its content and label; of copies the first."""
    found: dict[bytes, _Outcome] = {}
    labels, predicted = part.labels.tolist(), part.predicted.tolist()
    for place in np.flatnonzero(part.tested).tolist():
        key = _content(part.samples[place]) + labels[place].to_bytes(4, "big")
        found.setdefault(key, (labels[place], predicted[place]))
    return found


def _content(sample: Sample) -> bytes:
    try:
        return hashlib.sha256(sample.read()).digest()
    except OSError as error:
        raise DataError(f"{sample.id}: cannot be read: {error.strerror or error}") from error


def _accuracy(outcomes: Sequence[_Outcome], n_classes: int) -> Accuracy:
    accuracy = Accuracy(n_classes)
    both = np.array(outcomes, np.int64)
    accuracy.update(both[:, 0], both[:, 1])
    return accuracy


def _paired(first: Sequence[_Outcome], second: Sequence[_Outcome]) -> PairedTest:
    only_first = only_second = 0
    for (label, one), (_, other) in zip(first, second, strict=True):
        only_first += one == label and other != label
        only_second += one != label and other == label
    return mcnemar(len(first), only_first, only_second)


def _facts(run: FinishedRun) -> RunFactsRecord:
    report = run.report
    return {
        "backbone": report["backbone"]["name"],
        "sparsity": report["backbone"]["sparsity"],
        "engine": report["engine"]["name"],
        "solver": report["solver"],
        "epochs": len(report["epochs"]),
        "seconds": sum(epoch["seconds"] for epoch in report["epochs"]),
        "stages": report["stages"],
    }
