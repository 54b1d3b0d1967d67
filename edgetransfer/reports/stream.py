"""The reports of ``stream``, and of the commands that serve or teach."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from edgetransfer.reports.shared import Accuracies


class ScoreRecord(TypedDict):
    """Accuracy of predictions that were made before the sample was learned; null before any."""

    top1: float | None
    mean_per_class: float | None


class ConfusedRecord(TypedDict("_Class", {"class": str})):
    """How often a class was taken for another."""

    predicted: str
    times: int


class DriftRecord(TypedDict):
    """How often the accuracy fell for good, and at which sample last."""

    alarms: int
    last: int | None


class LeftOutRecord(TypedDict):
    """Accuracy of the head on its own samples, each scored without it; the interval is of 95 %."""

    method: str
    n: int
    top1: float | None
    interval: list[float] | None


class OfLearner(TypedDict):
    """What is peculiar to a learner.

    Keys
    ----
    known, kept_rows, relabelled, forgotten
        Of the learner of statistics: samples that its head is made of, those that it can still
        explain, and corrections.
    reservoir, refits, adopted
        Of the learner of steps: rows that it remembers, refits, and those that were taken over.
    answers, switches, test_then_train
        Of --learner auto: which of the two answers now, how often that changed, and how accurate
        each was over all samples.
    """

    known: NotRequired[int]
    kept_rows: NotRequired[int]
    relabelled: NotRequired[int]
    forgotten: NotRequired[int]
    reservoir: NotRequired[int]
    refits: NotRequired[int]
    adopted: NotRequired[int]
    answers: NotRequired[str]
    switches: NotRequired[int]
    test_then_train: NotRequired[dict[str, ScoreRecord]]


class AccuracyRecord(OfLearner):
    """How accurate a learner is.

    Keys
    ----
    prequential
        Over all samples.
    window
        Over the last ones.
    fading
        With older ones counting less.
    """

    prequential: ScoreRecord
    window: ScoreRecord
    fading: ScoreRecord
    drift: DriftRecord


class StandingRecord(AccuracyRecord):
    """How a stream's run stands.

    Keys
    ----
    accepted, labelled, learned, expired
        Samples; the last are those whose label came too late.
    confused
        The most frequent mistakes.
    left_out
        Null before there is a head that knows.
    """

    accepted: int
    labelled: int
    learned: int
    expired: int
    classes: int
    class_counts: dict[str, int]
    confused: list[ConfusedRecord]
    left_out: LeftOutRecord | None


class PredictionTablesRecord(TypedDict):
    """How ``--predictions`` stands.

    Keys
    ----
    written
        Predictions that stand in tables, over all starts.
    waiting_bytes
        Of predictions that wait to be written.
    gaps
        How often predictions may have gone before they were written.
    error
        Why the last table could not be written; null if it could.
    """

    folder: str
    written: int
    waiting_bytes: int
    gaps: int
    error: str | None


class WebhookRecord(TypedDict):
    """Predictions that were sent on.

    Keys
    ----
    waiting_bytes
        Of predictions that wait to be sent.
    gaps
        How often a file went before all of it was sent.
    error
        Why sending fails just now.
    """

    url: str
    delivered: int
    waiting_bytes: int
    gaps: int
    failures: int
    error: str | None


class LearnedRecord(StandingRecord):
    """What came of a stream.

    Keys
    ----
    final
        On --test-data; null without.
    curve
        The accuracy over time, as in curve.jsonl.
    refused
        Samples that could not be used.
    stages
        Seconds in each stage of the pipeline, by its name; they overlap.
    """

    final: Accuracies | None
    curve: list[dict[str, Any]]
    refused: int
    seconds: float
    samples_per_second: float
    stages: dict[str, float]
    peak_memory_bytes: int | None
    engine: str


class StreamRecord(LearnedRecord):
    """The report of ``stream``.

    Keys
    ----
    webhook
        With --webhook.
    prediction_tables
        With --predictions.
    """

    webhook: NotRequired[WebhookRecord]
    prediction_tables: NotRequired[PredictionTablesRecord]


class AddressRecord(TypedDict):
    """What a server prints when it listens."""

    address: str


class ServeRecord(TypedDict):
    """What ``serve`` prints at its end.

    Keys
    ----
    taken_up
        How often what the run had learned meanwhile was taken over.
    """

    requests: int
    photos: int
    batches: int
    taken_up: int
    seconds: float
    engine: str


class TeachRecord(StandingRecord):
    """What ``teach`` prints at its end."""

    refused: int
    seconds: float
    engine: str
