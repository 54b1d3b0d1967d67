"""The report of ``benchmark``."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from edgetransfer.reports.machine import CpuRecord
from edgetransfer.reports.shared import MacsRecord
from edgetransfer.reports.train import MetricRecord, RecipeRecord


class BenchmarkMachineRecord(TypedDict):
    """What was measured on.

    Keys
    ----
    load
        How busy other programs kept it as measuring began.
    """

    cpu: CpuRecord
    governor: str | None
    load: float | None
    memory_bytes: int
    system: str
    python: str
    versions: dict[str, str | None]


class DataSetRecord(TypedDict):
    """A data set.

    Keys
    ----
    images_per_epoch
        Of a timed epoch.
    held_out
        The share of the training photos that was held out to test on, 0 to 1.
    """

    name: str
    n_classes: int
    n_train: int
    images_per_epoch: int
    n_test: int
    held_out: float
    metric: MetricRecord


class SparseLayerRecord(TypedDict):
    """A layer."""

    name: str
    shape: list[int]
    sparsity: float


class ContestantRecord(TypedDict):
    """A backbone.

    Keys
    ----
    synthetic, pattern
        Whether its zeros are a published pattern on the dense weights, and which.
    published
        What is published of it.
    """

    name: str
    sha256: str
    file: str
    synthetic: bool
    pattern: str | None
    published: dict[str, Any] | None
    baseline: bool
    sparsity: float
    pruned_filters: float
    macs: MacsRecord
    preprocessing: str
    layers: list[SparseLayerRecord]


class IntervalRecord(TypedDict):
    """Median, 95 % interval of it, and mean."""

    median: float
    low: float
    high: float
    mean: float


class StageSecondsRecord(TypedDict):
    """Seconds an epoch in each stage; they overlap."""

    decode: float
    transform: float
    forward: float
    head: float


class RatesRecord(TypedDict):
    """Images a second: of the whole line, of the engine alone, of decoding alone."""

    pipeline: float
    engine_alone: float
    decoding_alone: float


class RowRecord(TypedDict):
    """A backbone in an engine on a data set.

    Keys
    ----
    reason
        Why it was not measured; then most keys are absent.
    fraction_of_baseline, fraction_in_engine
        Of an epoch of the dense baseline, in the baseline's engine and in this one.
    ceiling
        The speedup that its non-zero multiply-adds would allow.
    efficiency
        The share of the ceiling that was reached.
    accuracy_gap
        To the baseline, in the data set's metric.
    relative_error_increase
        Of the baseline's error.
    other_load
        How busy other programs kept the processor meanwhile.
    """

    backbone: str
    sparsity: float
    engine: str
    data: str
    baseline: bool
    synthetic: bool
    published: dict[str, Any] | None
    reason: str | None
    seconds_per_epoch: NotRequired[IntervalRecord | None]
    fraction_of_baseline: NotRequired[IntervalRecord | None]
    fraction_in_engine: NotRequired[IntervalRecord | None]
    efficiency: NotRequired[float | None]
    stages: NotRequired[StageSecondsRecord | None]
    top1: NotRequired[float | None]
    mean_per_class: NotRequired[float | None]
    metric: NotRequired[str]
    accuracy_gap: NotRequired[float | None]
    peak_memory_bytes: NotRequired[int | None]
    engine_version: NotRequired[str]
    engine_reason: NotRequired[str]
    cpu_seconds: NotRequired[float]
    forward_wall: NotRequired[float]
    turns: NotRequired[int]
    images: NotRequired[int]
    images_per_second: NotRequired[RatesRecord]
    other_load: NotRequired[float | None]
    skipped: NotRequired[int]
    baseline_backbone: NotRequired[str | None]
    baseline_engine: NotRequired[str | None]
    speedup: NotRequired[float | None]
    ceiling: NotRequired[float | None]
    relative_error_increase: NotRequired[float | None]


class ErrorIncreaseRecord(TypedDict):
    """The relative increase of the error over data sets."""

    backbone: str
    engine: str
    mean: float
    standard_error: float | None
    data_sets: int


class BenchmarkRecord(TypedDict):
    """The report of ``benchmark``.

    Keys
    ----
    epochs, seeds
        Timed epochs of one training, and how many trainings.
    settings
        What a run that goes on must have alike: settings, checksums of files, photos and machine.
    finished
        When, in ISO 8601.
    """

    machine: BenchmarkMachineRecord
    epochs: int
    seeds: int
    batch_size: int
    recipe: RecipeRecord
    threads: int | None
    data: list[DataSetRecord]
    backbones: list[ContestantRecord]
    rows: list[RowRecord]
    relative_error_increase: list[ErrorIncreaseRecord]
    settings: dict[str, Any]
    finished: str
