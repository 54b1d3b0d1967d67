"""The learner proper: a deterministic function of the records that it is given.

It never sees an image, a clock or a disk. Two learners with equal settings that were given the
same records in the same order are equal bit for bit, however the records were grouped; that is
what lets a run be killed at any moment and replayed from its journal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.heads import LinearHead, SGDSettings
from edgetransfer.reports.stream import OfLearner
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.stream.learning.class_weights import class_importance
from edgetransfer.stream.learning.drift import PageHinkley
from edgetransfer.stream.learning.growing import GrowingSolver
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.learner_state import (
    Counts,
    LearnerState,
    Waiting,
    restored_waiting,
    waiting_state,
)
from edgetransfer.stream.learning.pool import UnlabelledPool
from edgetransfer.stream.learning.prequential import Prequential
from edgetransfer.stream.learning.randomness import batch_randomness
from edgetransfer.stream.learning.records import Kind, Record
from edgetransfer.stream.learning.refit import BackgroundRefit
from edgetransfer.stream.learning.reservoir import Reservoir
from edgetransfer.stream.learning.views import predict_views
from edgetransfer.types import Float32Array, IntArray

logger = logging.getLogger(__name__)

MOST_APART = 64  # times refit_every, between two refits


class SteppingLearner:
    """Predicts, scores and learns feature rows.

    Parameters
    ----------
    dimension
        The length D of a row.
    settings
        How to learn.

    Attributes
    ----------
    on_scored
        Told what the samples of each batch were taken for, (n,) places of classes or -1, before
        they are learned.
    """

    def __init__(self, dimension: int, settings: LearningSettings) -> None:
        self.dimension = dimension
        self.settings = settings
        self.counts = Counts()
        self.classes: list[str] = []
        self.loss = float("nan")
        self.scores = Prequential(settings.window, settings.fading)
        self.drift = PageHinkley()
        self.reservoir = Reservoir(dimension, settings.reservoir_bytes)
        self.on_batch: Callable[[Any], None] | None = None
        self.on_scored: Callable[[IntArray], None] | None = None
        self.solver = GrowingSolver(
            dimension,
            SGDSettings(
                learning_rate=settings.learning_rate,
                momentum=settings.momentum,
                weight_decay=settings.weight_decay,
            ),
        )
        self._index: dict[str, int] = {}
        self._waiting: list[Waiting] = []
        self.pool = UnlabelledPool(dimension, settings.pool_bytes)
        self._by_class: IntArray = np.zeros(0, np.int64)
        self._refit: BackgroundRefit | None = None
        self._l2 = settings.l2  # of refits; chosen by the first one if None
        # Not at a lower priority: it would be put aside with Python's lock in its hand.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="edgetransfer-refit")
        if settings.refit_every:
            self.counts.apart = max(1, settings.refit_every // settings.batch_size)
            self.counts.next_refit = self.counts.apart

    @property
    def head(self) -> LinearHead:
        """The head as it stands, which later steps do not change; it may have no class yet."""
        return self.solver.head

    @property
    def newest(self) -> LinearHead:
        """The head to predict by."""
        return self.head

    def recorded(
        self, kind: Kind, rows: Float32Array | None, predicted: str | None
    ) -> tuple[Float32Array | None, str | None]:
        """Rows and prediction that the record of an offer has: it is predicted anew."""
        del predicted
        return (rows if kind == "sample" else None), None

    def has_class(self, name: str) -> bool:
        """Whether a class was born, or waits for its first batch."""
        return name in self._index

    @property
    def class_counts(self) -> dict[str, int]:
        """Learned samples by class."""
        return dict(zip(self.classes, self._by_class.tolist(), strict=False))

    def apply(self, record: Record) -> None:
        """Take in the next record of the journal."""
        counts = self.counts
        counts.go_behind(record)
        if record.kind == "flush":
            self._learn()
            return
        key = id_key(record.id)
        rows = record.rows
        if record.kind == "sample":
            counts.accepted += 1
        else:
            rows = self.pool.get(key)
            self.pool.leave(key)
        if rows is None and record.kind == "label":
            # Written by versions that looked for it before the images of its own group came.
            logger.warning(
                "the label of %r came as its image left the pool of unlabelled ones; it is not "
                "learned",
                record.id,
            )
            return
        if rows is None:
            raise ValueError(f"record {record.n} has no features")
        if record.label is None:
            counts.expired += self.pool.enter(key, rows)
            return
        counts.labelled += 1
        label = self._index.setdefault(record.label, len(self._index))
        if label == len(self.classes):
            self.classes.append(record.label)
        self._waiting.append(Waiting(key=key, label=label, rows=rows))
        if len(self._waiting) == self.settings.batch_size:
            self._learn()

    @property
    def waiting(self) -> int:
        """Labelled samples that wait for a full batch."""
        return len(self._waiting)

    @property
    def fitting(self) -> bool:
        """Whether a refit is under way, for which `state` would wait."""
        return self._refit is not None and not self._refit.through

    @property
    def ready(self) -> bool:
        """Whether the next record can be taken in at once.

        It cannot while a refit is under way that is decided on with the next batch.
        """
        refit = self._refit
        return refit is None or refit.through or self.counts.batches + 1 < refit.due

    def close(self) -> None:
        """Let go of the refit thread."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    # Learning

    def _learn(self) -> None:
        """Predict, score, then learn what waits."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        rows = np.concatenate([sample.rows for sample in batch])
        labels = np.array([sample.label for sample in batch], np.int64)
        views = np.array([len(sample.rows) for sample in batch])
        self._score(rows, labels, views)
        self.solver.grow(tuple(self.classes))
        self._count(labels)
        rng = batch_randomness(self.settings.seed, self.counts.batches)
        row_labels = np.repeat(labels, views)
        keys = [sample.key for sample in batch for _ in sample.rows]
        self.reservoir.add(rows, row_labels.tolist(), keys, rng)
        self._descend(rows, row_labels, rng)
        self.counts.batches += 1
        self.counts.learned += len(batch)
        self._consider_refit()
        if self.on_batch is not None:
            self.on_batch(self)

    def _score(self, rows: Float32Array, labels: IntArray, views: NDArray[Any]) -> None:
        self.scores.grow(len(self.classes))
        predicted = predict_views(self.solver.head, rows, views)
        self.scores.update(labels, predicted)
        if self.on_scored is not None:
            self.on_scored(predicted)
        right = (labels == predicted).tolist()
        for each in right:
            self.drift.update(not each)
        if self._refit is not None:
            first = np.cumsum(views) - views
            self._refit.observe(rows[first], labels.tolist(), right)

    def _count(self, labels: IntArray) -> None:
        self._by_class = np.pad(self._by_class, (0, len(self.classes) - len(self._by_class)))
        np.add.at(self._by_class, labels, 1)

    def _descend(self, rows: Float32Array, labels: IntArray, rng: np.random.Generator) -> None:
        """The steps of SGD for one batch; see `LearningSettings.replay`."""
        settings = self.settings
        importance = None
        if settings.class_weights:
            importance = class_importance(labels, self._by_class)
        size = settings.replay_size
        all_rows, all_labels = self.reservoir.draw(settings.replay * size, rng)
        for step in range(settings.replay):
            now = slice(step * size, (step + 1) * size)
            old_rows, old_labels = all_rows[now], all_labels[now]
            if step:
                self.loss = self.solver.step(old_rows, old_labels, None)
                continue
            if importance is not None:
                importance = np.concatenate([importance, np.ones(len(old_labels), np.float32)])
            self.loss = self.solver.step(
                np.concatenate([rows, old_rows]), np.concatenate([labels, old_labels]), importance
            )

    # Refits

    def _consider_refit(self) -> None:
        counts, refit = self.counts, self._refit
        if refit is not None and counts.batches >= refit.due:
            self._decide(refit)
        if self._refit is None and counts.apart and counts.batches >= counts.next_refit:
            features, labels = self.reservoir.subset(
                self.settings.refit_rows, batch_randomness(self.settings.seed, counts.batches, 1)
            )
            # Decided on as late as can be, so that a fast stream need not wait for the fit.
            self._refit = BackgroundRefit(counts.batches, counts.batches + counts.apart)
            self._refit.start(self._threads, features, labels, self._l2, self.settings.seed)
            counts.next_refit = counts.batches + counts.apart
            most = MOST_APART * max(1, self.settings.refit_every // self.settings.batch_size)
            counts.apart = min(2 * counts.apart, most)

    def _decide(self, refit: BackgroundRefit) -> None:
        candidate, better = refit.decide(self.solver.head)
        self._refit = None
        self.counts.refits += 1
        if candidate is None:
            return
        # To choose anew costs ten fits; the strength that suits a backbone's features stays.
        self._l2 = candidate.l2
        if better:
            weights, bias = candidate.merged(self.solver.head)
            self.solver.adopt(weights, bias, self.solver.classes)
            self.counts.adopted += 1

    # Reports and checkpoints

    honest = None  # nothing is known of samples that are not new
    heads = None  # the head is at hand

    def standing(self) -> OfLearner:
        """What is peculiar to this learner, as JSON values."""
        return {
            "reservoir": len(self.reservoir),
            "refits": self.counts.refits,
            "adopted": self.counts.adopted,
        }

    def state(self) -> LearnerState:
        """Everything that a checkpoint needs; waits for a refit that is under way."""
        arrays: dict[str, NDArray[Any]] = {}
        parts: dict[str, dict[str, NDArray[Any]]] = {
            "solver": dict(self.solver.state()),
            "reservoir": dict(self.reservoir.state()),
            "scores": self.scores.state(),
            "refit": self._refit.state() if self._refit is not None else {},
            "waiting": waiting_state(self._waiting, self.dimension),
            "pool": self.pool.state(),
        }
        for part, values in parts.items():
            arrays |= {f"{part}.{name}": value for name, value in values.items()}
        arrays["by_class"] = self._by_class
        json_values: dict[str, Any] = {
            "dimension": self.dimension,
            "counts": vars(self.counts).copy(),
            "classes": self.classes,
            "born": len(self.solver.classes),
            "drift": self.drift.state(),
            "l2": self._l2,
            "loss": None if np.isnan(self.loss) else self.loss,
        }
        return LearnerState(arrays=arrays, values=json_values)

    def restore(self, state: LearnerState) -> None:
        """Go on from what `state` returned."""
        values, parts = state.values, state.parts()
        self.counts = Counts(**values["counts"])
        self.classes = list(values["classes"])
        self._index = {name: i for i, name in enumerate(self.classes)}
        self.solver.restore(tuple(self.classes[: values["born"]]), parts["solver"])
        self.reservoir.restore(parts["reservoir"])
        self.scores.restore(parts["scores"])
        self.drift = PageHinkley(**values["drift"])
        self._l2 = values["l2"]
        self.loss = float("nan") if values["loss"] is None else values["loss"]
        self._refit = BackgroundRefit.restored(parts["refit"]) if "refit" in parts else None
        self._by_class = parts["by_class"][""].copy()
        self._waiting = restored_waiting(parts["waiting"])
        self.pool.restore(parts["pool"])
