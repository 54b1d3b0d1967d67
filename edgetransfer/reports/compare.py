"""The report of ``compare``."""

from __future__ import annotations

from typing import TypedDict


class ComparedBackboneRecord(TypedDict):
    """A backbone.

    Keys
    ----
    sparsity
        The share of its weights that are zero, 0 to 1.
    pruned_filters
        The share of its convolutions' filters that have no weight left.
    """

    name: str
    sha256: str
    sparsity: float
    pruned_filters: float


class ComparedDataRecord(TypedDict):
    """A data set.

    Keys
    ----
    metric
        By which accuracy it is judged: ``top1`` or ``mean_per_class``.
    tested_on
        ``test``, or ``val`` where there is no such split.
    held_out
        The share of the training photos that was held out as ``val``, 0 to 1.
    difficulty
        Accuracy of the dense backbone finetuned, less that of a linear head on it (Iofinova et
        al., CVPR 2022, section 3.3); null where one of them is missing.
    """

    name: str
    metric: str
    tested_on: str
    held_out: float
    difficulty: float | None


class ResultRecord(TypedDict):
    """One backbone on one data set by one kind of transfer.

    Keys
    ----
    accuracy
        Of the last epoch on the tested photos, a seed each, by the data set's metric, 0 to 1.
    best
        Of the best epoch on the validation photos; null of a seed without such photos or epochs.
    mean, standard_error
        Over the seeds; the latter is null of one seed.
    alpha
        Relative increase in error over the baseline, of the means; null where that has no error.
    seconds_per_epoch
        Median; of a head on fixed features the whole training.
    """

    transfer: str
    data: str
    backbone: str
    accuracy: list[float]
    best: list[float | None]
    mean: float
    standard_error: float | None
    alpha: float | None
    seconds_per_epoch: float


class AlphaRecord(TypedDict):
    """A backbone over all data sets.

    Keys
    ----
    mean, standard_error
        Of alpha over the data sets; null where there is none, or one alone.
    correlation
        Pearson's, of alpha with the data sets' difficulty; null of fewer than three.
    """

    transfer: str
    backbone: str
    data_sets: int
    mean: float | None
    standard_error: float | None
    correlation: float | None


class AdviceRecord(TypedDict):
    """Which backbone to take for one kind of transfer.

    Keys
    ----
    best
        The one of the highest mean accuracy over the data sets.
    not_told_apart
        Others whose difference from it has a 95 % interval that holds 0: its variance is that of
        the tested photos, as if each had been tested on other ones, and of the seeds.
    says
        The same in words, with what is not known.
    """

    transfer: str
    best: str
    accuracy: float
    not_told_apart: list[str]
    says: str


class CompareRecord(TypedDict):
    """The report of ``compare``."""

    baseline: str
    seeds: int
    backbones: list[ComparedBackboneRecord]
    data: list[ComparedDataRecord]
    results: list[ResultRecord]
    alphas: list[AlphaRecord]
    advice: list[AdviceRecord]
