"""Photos on which any network is given a head, each trained alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetransfer.backbones import Backbone
from edgetransfer.data import DataSplits, Sample
from edgetransfer.errors import DataError
from edgetransfer.heads import LinearHead
from edgetransfer.metrics import accuracy_of
from edgetransfer.metrics.conventions import Metric, metric_of
from edgetransfer.reports.analyse import AnalysedDataRecord
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.settings.analyse import AnalysisSettings
from edgetransfer.settings.compare import HELD_OUT
from edgetransfer.train.fitting import fit_head
from edgetransfer.train.job_context import JobContext
from edgetransfer.train.opening import load_splits, measured_plan, opened_extractor
from edgetransfer.types import Float32Array, IntArray, Progress


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a network's head says of the tested photos.

    Parameters
    ----------
    ids
        Of the photos.
    labels
        (N,) int64.
    features
        (N, D) float32.
    """

    head: LinearHead
    ids: tuple[str, ...]
    labels: IntArray
    features: Float32Array

    @property
    def logits(self) -> Float32Array:
        """(N, K)."""
        return self.head.logits(self.features)


class Bench:
    """One data set.

    Raises
    ------
    DataError
        If it cannot be used.
    """

    def __init__(self, settings: AnalysisSettings, data: Path, progress: Progress) -> None:
        self._settings, self._data, self._progress = settings, data, progress
        first = settings.networks[0]
        splits = load_splits(settings.training(first, data, held_out=0))
        self.held_out = 0.0 if splits.test or splits.val else HELD_OUT
        if self.held_out:
            splits = load_splits(settings.training(first, data, held_out=HELD_OUT))
        self.splits: DataSplits = splits
        self.tested: tuple[Sample, ...] = splits.test or splits.val
        if not self.tested:
            raise DataError(f"{data}: no class has a second photo: none is left to test on")
        self.metric: Metric = metric_of(settings.metric, data)
        self.skipped: list[SkippedRecord] = []

    @property
    def tested_on(self) -> str:
        """The split that is tested on."""
        return "test" if self.splits.test else "val"

    @property
    def record(self) -> AnalysedDataRecord:
        """For the report."""
        return {
            "metric": self.metric.name,
            "tested_on": self.tested_on,
            "held_out": self.held_out,
            "tested": len({sample.id for sample in self.tested} - {r["id"] for r in self.skipped}),
            "skipped": self.skipped,
        }

    def answers(self, network: str, backbone: Backbone) -> Answers:
        """Fit a head to a backbone's features of the training photos, and ask it about the others.

        Parameters
        ----------
        network
            As it was named.
        backbone
            The same, or pruned.

        Raises
        ------
        EdgeTransferError
            If the photos or the engine cannot be used.
        """
        training = self._settings.training(network, self._data, held_out=self.held_out)
        context = JobContext(
            training=training, backbone=backbone, splits=self.splits, progress=self._progress
        )
        plan = measured_plan(backbone, training)
        with opened_extractor(backbone, training, plan) as extractor:
            cache = context.cache(extractor.engine)
            table = context.table(extractor, self.splits.train, "features", cache)
            context.check_classes()
            tested = context.table(extractor, self.tested, "features of tested photos", cache)
        fitted = fit_head(training, table, self.splits.classes, self._progress)
        self.skipped = context.skipped.records
        return Answers(
            head=fitted.head,
            ids=tuple(sample.id for sample in context.usable(self.tested)),
            labels=tested.labels,
            features=tested.features,
        )

    def accuracy(self, labels: IntArray, logits: Float32Array) -> float:
        """By the data set's metric, 0 to 1."""
        found = accuracy_of(labels, logits.argmax(axis=1), len(self.splits.classes))
        return found.top1 if self.metric.name == "top1" else found.mean_per_class
