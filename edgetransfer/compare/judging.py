"""What runs show: accuracies, relative error increases, and which backbone to take."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from edgetransfer.compare.contestants import Contestant, Task
from edgetransfer.compare.running import Cell
from edgetransfer.metrics.transfer import mean_and_standard_error, relative_error_increase
from edgetransfer.reports.compare import AdviceRecord, AlphaRecord, ResultRecord
from edgetransfer.settings.compare import Transfer

NORMAL = 1.96  # of 95 %
LEAST = 3  # data sets of a correlation


@dataclass(frozen=True, kw_only=True)
class Result:
    """One backbone on one data set by one kind of transfer, over the seeds.

    Parameters
    ----------
    accuracies
        On the tested photos, a seed each, 0 to 1.
    best
        Of the best epoch on validation photos.
    tested
        How many photos.
    seconds
        Of an epoch.
    """

    transfer: Transfer
    task: Task
    contestant: Contestant
    accuracies: tuple[float, ...]
    best: tuple[float | None, ...]
    tested: int
    seconds: float

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def variance(self) -> float:
        """Of that mean: of the photos (binomial) and of the seeds."""
        photos = self.accuracy * (1 - self.accuracy) / max(self.tested, 1)
        seeds = statistics.variance(self.accuracies) if len(self.accuracies) > 1 else 0.0
        return photos + seeds / len(self.accuracies)

    def record(self, dense: Result) -> ResultRecord:
        """For the report."""
        mean, error = mean_and_standard_error(self.accuracies)
        return {
            "transfer": self.transfer,
            "data": self.task.name,
            "backbone": self.contestant.name,
            "accuracy": list(self.accuracies),
            "best": list(self.best),
            "mean": mean,
            "standard_error": error,
            "alpha": relative_error_increase(mean, dense.accuracy),
            "seconds_per_epoch": self.seconds,
        }


Results = Mapping[tuple[Transfer, str, str], Result]
"""By kind of transfer, data set and backbone."""


def result_of(cells: Sequence[Cell], reports: Sequence[Mapping[str, Any]]) -> Result:
    """The runs of one backbone on one data set by one kind of transfer, a seed each."""
    first, task = cells[0], cells[0].task
    name = task.metric.name
    epochs = [[e[f"val_{name}"] for e in r["epochs"] if f"val_{name}" in e] for r in reports]
    return Result(
        transfer=first.transfer,
        task=task,
        contestant=first.contestant,
        accuracies=tuple(
            report["final"][name] if task.tested_on == "test" else validated[-1]
            for report, validated in zip(reports, epochs, strict=True)
        ),
        best=tuple(max(validated, default=None) for validated in epochs),
        tested=reports[0]["n_test" if task.tested_on == "test" else "n_val"],
        seconds=statistics.median(e["seconds"] for r in reports for e in r["epochs"]),
    )


def difficulty(results: Results, task: Task, baseline: Contestant) -> float | None:
    """Accuracy of the baseline finetuned, less that of a linear head (the paper's section 3.3)."""
    full = results.get(("full", task.name, baseline.name))
    linear = results.get(("linear", task.name, baseline.name))
    return None if full is None or linear is None else full.accuracy - linear.accuracy


def alpha_of(
    results: Results,
    transfer: Transfer,
    contestant: Contestant,
    tasks: Sequence[Task],
    baseline: Contestant,
) -> AlphaRecord:
    """A backbone's relative error increase over all data sets, and its tie to difficulty."""
    found: list[tuple[float, float | None]] = []
    for task in tasks:
        own = results[transfer, task.name, contestant.name]
        dense = results[transfer, task.name, baseline.name]
        alpha = relative_error_increase(own.accuracy, dense.accuracy)
        if alpha is not None:
            found.append((alpha, difficulty(results, task, baseline)))
    mean, error = mean_and_standard_error([a for a, _ in found]) if found else (None, None)
    return {
        "transfer": transfer,
        "backbone": contestant.name,
        "data_sets": len(found),
        "mean": mean,
        "standard_error": error,
        "correlation": _correlation([(d, a) for a, d in found if d is not None]),
    }


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < LEAST:
        return None
    x, y = np.array(pairs, np.float64).T
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def advice(
    results: Results, transfer: Transfer, contestants: Sequence[Contestant], tasks: Sequence[Task]
) -> AdviceRecord:
    """Which backbone to take, and what is not known.

    Two means over the data sets are told apart where 0 lies outside of the 95 % interval of their
    difference, whose variance is that of the tested photos (binomial, as if both had been tested on
    other ones, which is on the careful side) and of the seeds.
    """
    own = {c.name: [results[transfer, t.name, c.name] for t in tasks] for c in contestants}
    means = {name: statistics.fmean(r.accuracy for r in found) for name, found in own.items()}
    best = max(means, key=lambda name: means[name])
    close = []
    for contestant in contestants:
        name = contestant.name
        variances = [r.variance for r in (*own[best], *own[name])]
        half = NORMAL * sqrt(sum(variances)) / len(tasks)
        if name != best and means[best] - means[name] <= half:
            close.append(name)
    sparsest = max((c for c in contestants if c.name in (best, *close)), key=lambda c: c.sparsity)
    where = "this data set" if len(tasks) == 1 else f"these {len(tasks)} data sets"
    says = f"{best} has the highest accuracy on {where}: {100 * means[best]:.1f} %"
    if close:
        says += f"; {_listed(close)} cannot be told apart from it with so few photos and trainings"
        if sparsest.name != best:
            says += f", and of these {sparsest.name} is the sparsest: take that where speed counts"
    says += "."
    if len(tasks) < LEAST:
        says += f" What holds on other data is not known from {len(tasks)}."
    return {
        "transfer": transfer,
        "best": best,
        "accuracy": means[best],
        "not_told_apart": close,
        "says": says,
    }


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
