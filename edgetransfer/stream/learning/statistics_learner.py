"""A learner whose head is solved from exact statistics: the order of a stream leaves no trace.

What it holds of the samples are whole numbers (`ExactMemory`): adding a sample and taking it away
undo each other exactly, so that a head equals the one of a batch of the same samples at every
moment, and forgetting or relabelling one sample is as if it had always been so.

The state is a function of the records alone. The head that a sample is predicted by is not: it
is solved beside the stream (`SolvedHeads`), and which one is the newest is a matter of time. So
what a sample was taken for stands in its record, and is scored from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgetransfer.heads import FeatureMap, Honest, LinearHead, Statistics
from edgetransfer.reports.stream import OfLearner
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.settings.train import MapName
from edgetransfer.stream.learning.drift import PageHinkley
from edgetransfer.stream.learning.exact_memory import ExactMemory
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.learner_state import Counts, LearnerState
from edgetransfer.stream.learning.pool import UnlabelledPool
from edgetransfer.stream.learning.prequential import Prequential
from edgetransfer.stream.learning.records import Kind, Learned, Record
from edgetransfer.stream.learning.solved_heads import SolvedHeads
from edgetransfer.stream.learning.views import predict_views
from edgetransfer.types import Float32Array

MAP: MapName = "power-l2"


class StatisticsLearner:
    """Predicts, scores and learns feature rows, each when it comes.

    Parameters
    ----------
    dimension
        The length D of a row.
    settings
        How to learn; a "batch" is only what `on_batch` is called after.
    """

    def __init__(self, dimension: int, settings: LearningSettings) -> None:
        self.dimension = dimension
        self.settings = settings
        self.counts = Counts()
        self.loss = float("nan")
        self.scores = Prequential(settings.window, settings.fading)
        self.drift = PageHinkley()
        self.on_batch: Callable[[Any], None] | None = None
        self.relabelled = 0
        self.forgotten = 0
        self.memory = ExactMemory(dimension, FeatureMap.made(MAP, dimension), settings.recent)
        self.heads = SolvedHeads(dimension, self.memory)
        self.pool = UnlabelledPool(dimension, settings.pool_bytes)

    # Heads

    @property
    def head(self) -> LinearHead:
        """The head of all that was learned; it may have no class yet."""
        return self.heads.exact()

    @property
    def newest(self) -> LinearHead:
        """The head to predict by: as above, or a fraction of a second older."""
        return self.heads.newest()

    @property
    def honest(self) -> Honest | None:
        """What is known of `head` on samples that it is fitted to, but was scored without."""
        return self.heads.honest

    @property
    def statistics(self) -> Statistics:
        """What was learned, of all samples."""
        return self.memory.statistics

    @property
    def classes(self) -> list[str]:
        """Their names, in the order of their birth."""
        return self.memory.classes

    # Learning

    def has_class(self, name: str) -> bool:
        """Whether a class was born."""
        return name in self.memory.index

    @property
    def class_counts(self) -> dict[str, int]:
        """Learned samples by class."""
        return dict(zip(self.classes, self.memory.by_class.tolist(), strict=True))

    waiting = 0  # no sample waits for others
    ready = True  # for the next record, always
    fitting = False

    def recorded(
        self, kind: Kind, rows: Float32Array | None, predicted: str | None
    ) -> tuple[Float32Array | None, str | None]:
        """Rows and prediction that the record of an offer has; see `Record`."""
        if kind == "label":
            predicted = None if rows is None else self.predicted(rows)
        return rows, predicted

    def predicted(self, rows: Float32Array) -> str | None:
        """The class that the newest head takes (views, D) rows for; None without classes."""
        head = self.newest
        best = int(predict_views(head, rows, np.array([len(rows)]))[0])
        return head.classes[best] if best >= 0 else None

    def apply(self, record: Record) -> None:
        """Take in the next record of the journal."""
        counts = self.counts
        counts.go_behind(record)
        if record.key is not None:
            counts.accepted += 1
        if record.kind in ("flush", "gone"):
            return
        key, rows = id_key(record.id), record.rows
        if rows is None:
            raise ValueError(f"record {record.n} has no features")
        if record.kind == "relabel":
            assert record.label is not None
            assert record.was is not None
            self._relabel(key, Learned(label=record.was, rows=rows), record.label)
        elif record.label is None:
            counts.expired += self.pool.enter(key, rows)
        else:
            self.pool.leave(key)
            self._learn(key, record.label, rows, record.predicted)

    def _learn(self, key: bytes, name: str, rows: Float32Array, predicted: str | None) -> None:
        """Score a sample by what it was taken for, then learn it."""
        label = self._born(name)
        guess = -1 if predicted is None else self.memory.index.get(predicted, -1)
        self.scores.update(np.array([label]), np.array([guess]))
        self.drift.update(label != guess)
        self.memory.learn(key, rows, label)
        counts = self.counts
        counts.labelled += 1
        counts.learned += 1
        self.heads.changed()
        if counts.learned % self.settings.batch_size == 0:
            counts.batches += 1
            if self.on_batch is not None:
                self.on_batch(self)

    def _born(self, name: str) -> int:
        """The place of a class, new or not."""
        label = self.memory.born(name)
        self.scores.grow(len(self.classes))
        return label

    def _relabel(self, key: bytes, learned: Learned, name: str) -> None:
        old = self.memory.index[learned.label]
        self.memory.relabel(key, learned.rows, old, self._born(name))
        self.relabelled += 1
        self.heads.changed()

    def close(self) -> None:
        """Let go of the thread."""
        self.heads.close()

    # Forgetting

    def forget(
        self, samples: dict[bytes, Learned | None], classes: frozenset[str] = frozenset()
    ) -> int:
        """Take samples away as if they had never been learned; returns how many were here.

        Parameters
        ----------
        samples
            By their keys, as they were learned; None for one that has no label yet. All that are
            known of the classes that go, too.
        classes
            That go with all of their samples. A class that loses all samples by id stays.
        """
        removed = 0
        with self.memory.lock:
            for key, learned in samples.items():
                if learned is None:
                    removed += self.pool.leave(key)
                    continue
                removed += 1
                self.memory.forget(key, learned.rows, self.memory.index[learned.label])
            if gone := classes & set(self.classes):
                self.scores.relabel(self.memory.drop(gone))
            self.forgotten += removed
        self.heads.changed()
        return removed

    # Reports and checkpoints

    def standing(self) -> OfLearner:
        """What is peculiar to this learner, as JSON values."""
        return {
            "known": int(self.memory.by_class.sum()),
            "kept_rows": len(self.memory.kept),
            "relabelled": self.relabelled,
            "forgotten": self.forgotten,
        }

    def state(self) -> LearnerState:
        """Everything that a checkpoint needs."""
        arrays = self.memory.state()
        for part, held in (("scores", self.scores.state()), ("pool", self.pool.state())):
            arrays |= {f"{part}.{name}": value for name, value in held.items()}
        values: dict[str, Any] = {
            "learner": "statistics",
            "map": MAP,
            "dimension": self.dimension,
            "counts": vars(self.counts).copy(),
            "classes": list(self.classes),
            "drift": self.drift.state(),
            "relabelled": self.relabelled,
            "forgotten": self.forgotten,
        }
        return LearnerState(arrays=arrays, values=values)

    def restore(self, state: LearnerState) -> None:
        """Go on from what `state` returned."""
        values, parts = state.values, state.parts()
        self.counts = Counts(**values["counts"])
        self.memory.restore(values["classes"], parts)
        self.scores.restore(parts["scores"])
        self.scores.grow(len(self.classes))
        self.drift = PageHinkley(**values["drift"])
        self.relabelled, self.forgotten = values["relabelled"], values["forgotten"]
        self.pool.restore(parts["pool"])
