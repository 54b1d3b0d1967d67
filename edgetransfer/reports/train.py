"""The reports of ``train`` and ``finetune``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, final

from edgetransfer.reports.shared import Accuracies, BackboneRecord, EngineRecord

MetricName = Literal["top1", "mean_per_class"]


class MetricRecord(TypedDict):
    """By which accuracy the data set is judged, and why."""

    name: MetricName
    reason: str


class RecipeRecord(TypedDict):
    """Which recipe was asked for, and in what the training was not it."""

    name: str
    departures: list[str]


class SplitRecord(TypedDict):
    """How large a split is."""

    photos: int
    classes: int


class DataRecord(TypedDict):
    """What the data was.

    Keys
    ----
    splits
        By name: ``train``, ``val``, ``test``.
    ignored
        Files that are no photos, by kind.
    left_out
        Photos that were not used, by reason.
    learned_too
        Ids of photos of a split that are among the training photos too, by split.
    """

    splits: dict[str, SplitRecord]
    ignored: dict[str, int]
    left_out: dict[str, int]
    learned_too: dict[str, list[str]]


class ValidationRecord(TypedDict):
    """What is known after an epoch; nothing where there are no validation photos."""

    val_top1: NotRequired[float]
    val_mean_per_class: NotRequired[float]


class EpochRecord(ValidationRecord):
    """One epoch, as in metrics.jsonl.

    Keys
    ----
    epoch
        From 1.
    train_loss
        Mean cross-entropy over the photos of the epoch.
    """

    epoch: int
    seconds: float
    images_per_second: float
    train_loss: float


class ClassRecord(TypedDict):
    """One class on photos that the judging heads had not seen; the interval is of 95 %."""

    n: int
    accuracy: float
    interval: list[float]


class HonestRecord(TypedDict):
    """What is known of a head without test photos.

    Keys
    ----
    method
        How photos were left out.
    n, not_tested
        Photos that were judged by a head that had not seen them, and others.
    interval
        Of `top1`, 95 %.
    """

    method: str
    n: int
    not_tested: int
    top1: float
    interval: list[float]
    mean_per_class: float
    per_class: dict[str, ClassRecord]


class CalibrationRecord(TypedDict):
    """Expected calibration error on left-out photos, before a temperature and with it."""

    error_before: float
    error: float


class TrialRecord(TypedDict):
    """A head that was tried: what fits it, to which map of the features, how strongly held back."""

    solver: str
    map: str
    penalties: list[float]
    accuracy: float


class LBFGSTrialRecord(TypedDict):
    """A penalty that was tried."""

    l2: float
    held_out_loss: float


class LBFGSRecord(TypedDict):
    """An L-BFGS fit."""

    l2: float
    iterations: int
    tried: list[LBFGSTrialRecord]


class HeadDetails(TypedDict):
    """What is reported of a head that was fitted at once.

    Keys
    ----
    honest
        Where left-out photos judged it.
    calibration, chosen, tried
        Of a head in closed form.
    lbfgs
        Of one by L-BFGS.
    """

    honest: NotRequired[HonestRecord]
    calibration: NotRequired[CalibrationRecord]
    chosen: NotRequired[TrialRecord]
    tried: NotRequired[list[TrialRecord]]
    lbfgs: NotRequired[LBFGSRecord]


class FeaturesRecord(TypedDict):
    """Feature rows that were computed, and that the cache had."""

    computed: int
    from_cache: int


class CommonRecord(TypedDict):
    """What every training says of its backbone, engine and data.

    Keys
    ----
    mode, solver
        As in the settings.
    n_train, n_val
        Photos that could be used.
    skipped
        Photos that could not.

    Warnings
    --------
        What is doubtful, a sentence each.
    """

    backbone: BackboneRecord
    engine: EngineRecord
    mode: str
    solver: str | None
    metric: MetricRecord
    recipe: RecipeRecord
    n_train: int
    n_val: int
    n_classes: int
    data: DataRecord
    skipped: int
    warnings: list[str]


class OutcomeRecord(CommonRecord):
    """What every training says of what came of it.

    Keys
    ----
    epochs
        One of a head that is fitted at once.
    final
        On the test photos; null where there are none.
    stages
        Seconds in each stage of the pipeline, by its name; they overlap.
    """

    n_test: int
    epochs: list[EpochRecord]
    final: Accuracies | None
    stages: dict[str, float]
    features: FeaturesRecord
    peak_memory_bytes: int | None


@final
class TrainingRecord(OutcomeRecord, HeadDetails):
    """The report of ``train``."""


class JudgedRecord(Accuracies):
    """Accuracies, and on what: ``validation``, or ``held out`` of the training photos."""

    on: str


class MaskedRecord(TypedDict):
    """Weights that are zero and stay so: before, and after."""

    before: int
    after: int


class TrainingEngineRecord(TypedDict):
    """What computed the gradients, and why.

    Keys
    ----
    name
        ``torch``, or ``sparse`` where zero weights were no work.
    layers
        How many layers ran in the sparse one; torch did the rest.
    """

    name: str
    layers: int
    reason: str


class TrainedRecord(TypedDict("_From", {"from": str | None})):
    """What a finetuning trained.

    Keys
    ----
    from
        The first layer that was trained.

    Parameters
    ----------
        How many numbers.
    mean, std
        The normalisation of the finetuned backbone, a channel each.
    """

    parameters: int
    frozen_engine: EngineRecord
    device: str
    precision: str
    training_engine: TrainingEngineRecord
    mean: list[float]
    std: list[float]


class ExportedRecord(TypedDict):
    """The backbone in the run, and how far the sparse engine is from torch on it.

    Keys
    ----
    difference_from_torch
        Of the largest feature; null where no training photo could be compared.
    """

    sha256: str
    sparsity: float
    difference_from_torch: float | None


@final
class FinetuningRecord(OutcomeRecord):
    """The report of ``finetune``.

    Keys
    ----
    linear
        A linear head on the backbone as it was; null where none was fitted.
    finetuned
        The finetuned network; null where there are no validation photos.
    kept
        Which of them the run holds: ``linear`` or ``finetuned``.
    """

    masked: MaskedRecord
    linear: JudgedRecord | None
    finetuned: JudgedRecord | None
    kept: str
    trained: TrainedRecord
    exported: ExportedRecord
    estimated_memory_bytes: int


AnyTrainingRecord = TrainingRecord | FinetuningRecord


def validated(report: Mapping[str, Any]) -> Accuracies | None:
    """What the network that a run holds reached on its validation photos; None without these.

    That of the last epoch, but of a finetuning that of what was kept in the end, with its head.

    Parameters
    ----------
    report
        Of a training of any kind, or of an earlier version, which may lack keys.
    """
    held = report.get(report.get("kept", ""))
    if held and held["on"] == "validation":
        return {"top1": held["top1"], "mean_per_class": held["mean_per_class"]}
    last = (report.get("epochs") or [{}])[-1]
    if "val_top1" in last:
        return {"top1": last["val_top1"], "mean_per_class": last["val_mean_per_class"]}
    return None
