"""A linear head learned from tables of features, however many there are.

What is learned from are exact statistics: each table's stand beside it, and their sum is the same
bytes however the photos were parted and whoever extracted them. So the memory is that of one table
and one Gram matrix, and the head that of one machine.
"""

from __future__ import annotations

import logging
from pathlib import Path
from time import monotonic

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.errors import DataError
from edgetransfer.features.part_statistics import MAP, computed, statistics_of
from edgetransfer.features.table_folder import FeatureTables, Row, keys_of
from edgetransfer.heads import FeatureMap, Honest, LinearHead, SoftmaxLoss, Statistics
from edgetransfer.heads.statistics_solver import Choice, StatisticsSolver
from edgetransfer.metrics import Accuracy, StageClock, peak_memory_bytes
from edgetransfer.metrics.conventions import metric_of
from edgetransfer.reports.shared import Accuracies, SkippedRecord
from edgetransfer.reports.train import HeadDetails, TrainingRecord, TrialRecord
from edgetransfer.settings.recipe import recipe_record
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.honesty import honest_record, warn_of_hidden
from edgetransfer.train.scoring import validation
from edgetransfer.types import Float32Array, IntArray, Progress

logger = logging.getLogger(__name__)

KEPT = 4096  # rows that the head is chosen and calibrated by
NAMED = 3


class TableJob:
    """One training on tables.

    Parameters
    ----------
    settings
        Of the training.
    backbone
        That made the features.
    tables
        What to learn from, and to test on.
    doubts
        Warnings that belong into the report.
    progress
        Told of all that goes on.
    """

    def __init__(
        self,
        settings: LinearTraining,
        backbone: Backbone,
        tables: FeatureTables,
        doubts: list[str],
        progress: Progress,
    ) -> None:
        self.settings = settings
        self.backbone = backbone
        self.tables = tables
        self.progress = progress
        self.clock = StageClock()
        self._doubts = doubts
        self._classes = tables.index.classes
        self._label = {name: i for i, name in enumerate(self._classes)}
        self._splits = {"train": 0, "val": 0, "test": 0}
        self.skipped: list[SkippedRecord] = []
        self.head: LinearHead

    def train(self) -> TrainingRecord:
        """Solve the head, and report."""
        start = monotonic()
        with self.clock.measure("tables"):
            chosen_rows = self._count()
            self._check_skipped()
            statistics = self._statistics()
            self._check_learnable(statistics)
        with self.clock.measure("head"):
            rows, labels = self._rows(chosen_rows)
            solver = StatisticsSolver(map=FeatureMap.made(MAP, self.backbone.dimension))
            mapped = solver.map(rows)
            moments = statistics.moments()
            choice, honest = solver.choose(moments, mapped, labels)
            self.head = solver.solve(moments, self._classes, choice)
        with self.clock.measure("testing"):
            tests = {split: self._tested(split) for split in ("val", "test")}
        loss = SoftmaxLoss().value(mapped, labels, self.head.weights, self.head.bias)
        seconds = monotonic() - start
        return self._report(statistics.n, loss, seconds, tests, self._details(choice, honest))

    def _count(self) -> list[Row]:
        """Count the rows of each split; returns those with the least keys to learn from."""
        least: list[tuple[int, int, int]] = []  # key, table, place
        for number, file in enumerate(self.tables.files):
            columns = file.columns("id", "label", "split", "problem")
            learned = []
            for place, (label, split, problem) in enumerate(
                zip(columns["label"], columns["split"], columns["problem"], strict=True)
            ):
                if problem is not None:
                    self.skipped.append({"id": columns["id"][place], "reason": problem})
                elif split in self._splits and label:
                    self._splits[split] += 1
                    if split == "train":
                        learned.append(place)
            keys = keys_of(file)[learned]
            few = np.argsort(keys, kind="stable")[:KEPT]
            least += [(int(keys[i]), number, learned[i]) for i in few.tolist()]
            least = sorted(least)[:KEPT]
            self.progress("tables", number + 1, len(self.tables.files))
        return [Row(table=table, place=place) for _, table, place in least]

    def _statistics(self) -> Statistics:
        total = Statistics(self.backbone.dimension, len(self._classes))
        for number, file in enumerate(self.tables.files):
            total.merge(statistics_of(file, self._classes))
            self.progress("statistics", number + 1, len(self.tables.files))
        if total.n != self._splits["train"]:  # of other rows than are there now
            logger.warning("%s: its statistics are computed anew", self.tables.folder)
            total = Statistics(self.backbone.dimension, len(self._classes))
            for file in self.tables.files:
                total.merge(computed(file, self._classes))
        return total

    def _check_skipped(self) -> None:
        share = self.settings.max_bad
        if len(self.skipped) > share * len(self.tables):
            examples = "; ".join(f"{row['id']}: {row['reason']}" for row in self.skipped[:NAMED])
            raise DataError(
                f"{self.tables.folder}: {len(self.skipped)} of {len(self.tables)} photos have no "
                f"features, more than --max-bad {share:g} allows ({examples})"
            )

    def _check_learnable(self, statistics: Statistics) -> None:
        if len(self._classes) < 2:
            raise DataError(
                f"{self.tables.folder}: only one class; a classifier needs at least two"
            )
        empty = [
            name
            for name, count in zip(self._classes, statistics.counts.tolist(), strict=True)
            if not count
        ]
        if empty:
            raise DataError(f"{self.tables.folder}: class {empty[0]!r} has no training features")

    def _rows(self, chosen: list[Row]) -> tuple[Float32Array, IntArray]:
        parts = list(self.tables.taken(chosen))
        labels = [self._label[label] for part in parts for label in part.labels]
        return np.concatenate([part.features for part in parts]), np.array(labels, np.int64)

    def _tested(self, split: str) -> Accuracies | None:
        """Accuracies on the rows of a split; None if it has none."""
        if not self._splits[split]:
            return None
        accuracy = Accuracy(len(self._classes))
        for number, file in enumerate(self.tables.files):
            self.progress(f"{split} rows", number + 1, len(self.tables.files))
            if split not in file.columns("split")["split"]:
                continue
            for rows in file.rows():
                own = rows.only(np.array(rows.labelled(split), np.int64))
                labels = np.array([self._label[label] for label in own.labels], np.int64)
                if len(labels):
                    accuracy.update(labels, self.head.predict(own.features))
        return accuracy.shares

    def _details(self, choice: Choice, honest: Honest | None) -> HeadDetails:
        """What is known of the head; of more classes than are compared, nothing was left out."""
        if honest is None:
            return {}
        record = honest_record(honest, self._classes, len(honest.labels))
        warn_of_hidden(record)
        chosen: TrialRecord = {
            "solver": "+".join(part.method for part in choice.components),
            "map": MAP,
            "penalties": [part.penalty for part in choice.components],
            "accuracy": record["top1"],
        }
        return {"honest": record, "chosen": chosen, "tried": [chosen]}

    def _report(
        self,
        n_train: int,
        loss: float,
        seconds: float,
        tests: dict[str, Accuracies | None],
        details: HeadDetails,
    ) -> TrainingRecord:
        settings, origin = self.settings, self.tables.index.origin
        return {
            "backbone": self.backbone.record,
            "engine": {
                "name": origin.engine,
                "version": origin.engine_version,
                "reason": "the tables were made by it",
            },
            "mode": settings.mode,
            "solver": settings.solver,
            "metric": metric_of(settings.metric, Path(self.tables.index.data)).record,
            "recipe": recipe_record(settings.recipe, settings.departures),
            "n_train": n_train,
            "n_val": self._splits["val"],
            "n_test": self._splits["test"],
            "n_classes": len(self._classes),
            "data": {
                "splits": {
                    split: {"photos": photos, "classes": len(self._classes) if photos else 0}
                    for split, photos in self._splits.items()
                },
                "ignored": {},
                "left_out": {},
                "learned_too": {},
            },
            "skipped": len(self.skipped),
            "warnings": [*self.backbone.warnings, *self._doubts],
            "epochs": [
                {
                    "epoch": 1,
                    "seconds": seconds,
                    "images_per_second": n_train / seconds,
                    "train_loss": loss,
                    **validation(tests["val"]),
                }
            ],
            **details,
            "final": tests["test"],
            "stages": self.clock.seconds,
            "features": {"computed": 0, "from_cache": len(self.tables)},
            "peak_memory_bytes": peak_memory_bytes(),
        }
