"""The report of ``pretrain``."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from edgetransfer.reports.shared import MacsRecord, SkippedRecord


class PretrainingPhotosRecord(TypedDict):
    """Photos that were learned from, and tested on."""

    train: int
    tested: int


class PretrainingEpochRecord(TypedDict):
    """One epoch.

    Keys
    ----
    epoch
        From 1.
    phase
        Dense, sparse, or on the way.
    memorised, true_class
        Of the photos under a random label, the share that is taken for it, and for what it shows,
        0 to 1 (thesis 3.6.2); with --random-labels.
    mask_change
        The share of the kept weights that the last mask before had pruned, 0 to 1: revived ones.
    mask_iou
        Weights that both masks keep over those that either keeps, 0 to 1.
    inference_macs, training_macs
        Multiply-adds of a photo, and of the epoch.
    training_macs_over_dense
        What the epoch took over what a dense one takes.
    """

    epoch: int
    phase: str
    loss: float
    top1: NotRequired[float]
    feature_error: NotRequired[float]
    memorised: NotRequired[float]
    true_class: NotRequired[float]
    sparsity: float
    mask_change: float | None
    mask_iou: float | None
    pruned_filters: float
    inference_macs: float
    training_macs: float
    training_macs_over_dense: float
    learning_rate: float
    seconds: float


class TunedAccuracyRecord(TypedDict):
    """Accuracy of a network that was pruned at once, 0 to 1."""

    top1: float


class OneShotRecord(TypedDict):
    """The network pruned at once, before and after its batch-norm is tuned."""

    level: str
    sparsity: float
    untuned: TunedAccuracyRecord
    tuned: TunedAccuracyRecord


class TwinRecord(TypedDict):
    """The dense network that was trained beside the sparse one."""

    out: str
    sha256: str
    top1: NotRequired[float]
    sparsity: float
    epochs: list[PretrainingEpochRecord]


class PretrainRecord(TypedDict):
    """The report of ``pretrain``.

    Keys
    ----
    prunable_sparsity
        Of the layers that may be pruned.
    training_macs_over_dense
        What the training took over what a dense one takes.
    difference_from_torch
        Of the features in the engine, over the largest one.
    seconds, seconds_of_this_call
        Of the training over all its calls, and of the last one.
    """

    policy: str
    out: str
    sha256: str
    classes: int | None
    photos: PretrainingPhotosRecord
    top1: NotRequired[float]
    feature_error: NotRequired[float]
    sparsity: float
    sparsity_with_classifier: float | None
    prunable_sparsity: float
    pruned_filters: float
    macs: MacsRecord
    training_macs: float
    training_macs_over_dense: float
    difference_from_torch: float | None
    epochs: list[PretrainingEpochRecord]
    one_shot: list[OneShotRecord]
    twin: TwinRecord | None
    skipped: list[SkippedRecord]
    warnings: list[str]
    seconds: float
    seconds_of_this_call: float
    peak_memory_bytes: int | None
