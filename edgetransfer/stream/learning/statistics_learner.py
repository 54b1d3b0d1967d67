"""A learner whose head is solved from exact statistics: the order of a stream leaves no trace.

What it holds of the samples are whole numbers (`edgetransfer.heads.Statistics`): adding a sample
and taking it away undo each other exactly, so that a head equals the one of a batch of the same
samples at every moment, and forgetting or relabelling one sample is as if it had always been so.

The state is a function of the records alone. The head that a sample is predicted by is not: it
is solved beside the stream, and which one is the newest is a matter of time. So what a sample was
taken for stands in its record, and is scored from there.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.heads import FeatureMap, Honest, LinearHead, Statistics
from edgetransfer.heads.statistics_solver import Choice, StatisticsSolver
from edgetransfer.reports.stream import OfLearner
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.settings.train import MapName
from edgetransfer.stream.learning.drift import PageHinkley
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.key_sample import KeySample
from edgetransfer.stream.learning.learner_state import Counts, LearnerState
from edgetransfer.stream.learning.newest_head import NewestHead
from edgetransfer.stream.learning.pool import UnlabelledPool
from edgetransfer.stream.learning.prequential import Prequential
from edgetransfer.stream.learning.recent import RecentSamples
from edgetransfer.stream.learning.records import Kind, Learned, Record
from edgetransfer.stream.learning.views import predict_views
from edgetransfer.types import Float32Array, IntArray

MAP: MapName = "power-l2"
KEPT = 4096  # samples that the head is chosen and calibrated by
WAITING = 64  # rows that are added to the statistics at once
CHOSEN_ANEW = 1.5  # times as many samples as when it was last chosen what suits them
FEW = 4  # times as many features as samples: then heads are made of the rows, in far less time


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
        self.classes: list[str] = []
        self.loss = float("nan")
        self.scores = Prequential(settings.window, settings.fading)
        self.drift = PageHinkley()
        self.on_batch: Callable[[Any], None] | None = None
        self.relabelled = 0
        self.forgotten = 0
        self.honest: Honest | None = None
        self._index: dict[str, int] = {}
        self._by_class: IntArray = np.zeros(0, np.int64)
        self._pool = UnlabelledPool(dimension, settings.pool_bytes)
        self._kept = KeySample(dimension, KEPT)
        self._recent = RecentSamples(dimension, settings.recent)
        self._solver = StatisticsSolver(map=FeatureMap.made(MAP, dimension))
        self._lock = RLock()  # of the statistics: heads are solved in another thread
        self._statistics = Statistics(dimension, 0)
        self._waiting: list[tuple[Float32Array, int]] = []
        self._choice: tuple[Choice, int] | None = None  # and for how many samples
        self._version = 0
        self._solved: tuple[int, LinearHead] | None = None
        self._newest = NewestHead(self._quickly_solved, self._choose_anew)

    # Heads

    @property
    def head(self) -> LinearHead:
        """The head of all that was learned; it may have no class yet."""
        if not self._by_class.any():
            return LinearHead.empty(self.dimension)
        with self._lock:
            if self._solved is not None and self._solved[0] == self._version:
                return self._solved[1]
            version, learned = self._version, int(self._by_class.sum())
            few = self._few()
            if few is not None:
                head, choice, self.honest = few
                self._choice, self._solved = (choice, learned), (version, head)
                return head
            moments, classes = self.statistics.moments(), tuple(self.classes)
            rows, labels = self._kept.table()
        choice, honest = self._solver.choose(moments, rows, labels)
        head = self._solver.solve(moments, classes, choice)
        with self._lock:
            self.honest = honest
            self._choice = (choice, learned)
            self._solved = (version, head)
        return head

    @property
    def newest(self) -> LinearHead:
        """The head to predict by: as above, or a fraction of a second older."""
        return self._newest.get() if self._by_class.any() else LinearHead.empty(self.dimension)

    @property
    def statistics(self) -> Statistics:
        """What was learned, of all samples."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if waiting:
                rows = np.concatenate([rows for rows, _ in waiting])
                labels = np.repeat([label for _, label in waiting], [len(r) for r, _ in waiting])
                self._statistics.update(rows, labels)
            return self._statistics

    def _few(self) -> tuple[LinearHead, Choice, Honest] | None:
        """The head while the kept rows are all there are, and few; None from then on."""
        learned = int(self._by_class.sum())
        if FEW * learned > self.dimension or not self._by_class.all() or len(self.classes) < 2:
            return None
        if (
            not learned
            == len(self._kept)
            == self._statistics.n + sum(len(rows) for rows, _ in self._waiting)
        ):
            return None
        return self._solver.of_few(*self._kept.table(), tuple(self.classes))

    def _quickly_solved(self) -> LinearHead:
        """A head of what was chosen before, or of few samples the exact one."""
        with self._lock:
            few = self._few()
            if few is not None:
                self._choice = (few[1], int(self._by_class.sum()))
                return few[0]
            moments, classes = self.statistics.moments(), tuple(self.classes)
            choice = None if self._choice is None else self._choice[0]
            rows, _ = self._kept.table() if choice is None else (None, None)
        if choice is None:
            assert rows is not None
            choice = self._solver.usual(moments, rows)
        return self._solver.solve(moments, classes, choice, precise=False)

    def _choose_anew(self) -> None:
        """Choose what suits the samples, if that was last done for far fewer."""
        learned = int(self._by_class.sum())
        if FEW * learned <= self.dimension:
            return
        if self._choice is None or learned > CHOSEN_ANEW * self._choice[1]:
            _ = self.head

    # Learning

    def has_class(self, name: str) -> bool:
        """Whether a class was born."""
        return name in self._index

    @property
    def class_counts(self) -> dict[str, int]:
        """Learned samples by class."""
        return dict(zip(self.classes, self._by_class.tolist(), strict=True))

    @property
    def waiting(self) -> int:
        """No sample waits for others."""
        return 0

    def pooled(self, key: bytes) -> Float32Array | None:
        """The rows, (views, D), of an unlabelled sample; None if it is not in the pool."""
        return self._pool.get(key)

    def recorded(
        self, kind: Kind, key: bytes, rows: Float32Array | None, predicted: str | None
    ) -> tuple[Float32Array | None, str | None]:
        """Rows and prediction that the record of an offer has; see `Record`."""
        if kind == "label":
            rows = self.pooled(key)
            predicted = None if rows is None else self._predicted(rows)
        return rows, predicted

    def _predicted(self, rows: Float32Array) -> str | None:
        head = self.newest
        best = int(predict_views(head, rows, np.array([len(rows)]))[0])
        return head.classes[best] if best >= 0 else None

    def apply(self, record: Record) -> None:
        """Take in the next record of the journal."""
        counts = self.counts
        if record.n != counts.position:
            raise ValueError(f"record {record.n} where {counts.position} was due")
        counts.position += 1
        counts.last_time = record.time
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
            counts.expired += self._pool.enter(key, rows)
        else:
            self._pool.leave(key)
            self._learn(key, record.label, rows, record.predicted)

    def _learn(self, key: bytes, name: str, rows: Float32Array, predicted: str | None) -> None:
        """Score a sample by what it was taken for, then learn it."""
        label = self._born(name)
        guess = -1 if predicted is None else self._index.get(predicted, -1)
        self.scores.update(np.array([label]), np.array([guess]))
        self.drift.update(label != guess)
        mapped = self._solver.map(rows)
        with self._lock:
            self._by_class[label] += 1
            self._kept.add(key, mapped[0], label)
            self._waiting.append((mapped, label))
            self._recent.add(key, mapped, label)
            for sample in self._recent.past():
                self._subtract(*sample)
            if sum(len(rows) for rows, _ in self._waiting) >= WAITING:
                _ = self.statistics
            self._version += 1
        counts = self.counts
        counts.labelled += 1
        counts.learned += 1
        self._newest.changed()
        if counts.learned % self.settings.batch_size == 0:
            counts.batches += 1
            if self.on_batch is not None:
                self.on_batch(self)

    def _subtract(self, key: bytes, mapped: Float32Array, label: int) -> None:
        self.statistics.subtract(mapped, np.full(len(mapped), label, np.int64))
        self._by_class[label] -= 1
        self._kept.forget(key)
        self._recent.forget(key)

    def _born(self, name: str) -> int:
        """The index of a class, new or not."""
        label = self._index.setdefault(name, len(self._index))
        if label == len(self.classes):
            with self._lock:
                self.classes.append(name)
                self._by_class = np.pad(self._by_class, (0, 1))
                self._statistics.grow(len(self.classes))
                self.scores.grow(len(self.classes))
        return label

    def _relabel(self, key: bytes, learned: Learned, name: str) -> None:
        old, label = self._index[learned.label], self._born(name)
        mapped = self._solver.map(learned.rows)
        self.relabelled += 1
        if key not in self._recent:
            return
        with self._lock:
            views = np.full(len(mapped), 0, np.int64)
            self.statistics.relabel(mapped, views + old, views + label)
            self._by_class[old] -= 1
            self._by_class[label] += 1
            self._kept.relabel(key, label)
            self._recent.relabel(key, label)
            self._version += 1
        self._newest.changed()

    def close(self) -> None:
        """Let go of the thread."""
        self._newest.close()

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
        with self._lock:
            for key, learned in samples.items():
                if learned is None:
                    removed += self._pool.leave(key)
                    continue
                removed += 1
                if key not in self._recent:
                    continue
                self._subtract(key, self._solver.map(learned.rows), self._index[learned.label])
            self._drop(frozenset(classes) & self._index.keys())
            self.forgotten += removed
            self._version += 1
        self._newest.changed()
        return removed

    def _drop(self, gone: frozenset[str]) -> None:
        if not gone:
            return
        names = [name for name in self.classes if name not in gone]
        places = {name: i for i, name in enumerate(names)}
        new = [places.get(name, -1) for name in self.classes]
        self.scores.relabel(new)
        self._kept.renumber(new)
        self._recent.renumber(new)
        kept = np.flatnonzero(np.array(new) >= 0)
        self.statistics.dropped(kept)
        self._by_class = self._by_class[kept]
        self.classes, self._index = names, places

    # Reports and checkpoints

    def standing(self) -> OfLearner:
        """What is peculiar to this learner, as JSON values."""
        return {
            "kept_rows": len(self._kept),
            "relabelled": self.relabelled,
            "forgotten": self.forgotten,
        }

    def state(self) -> LearnerState:
        """Everything that a checkpoint needs."""
        arrays: dict[str, NDArray[Any]] = {}
        with self._lock:
            parts: dict[str, dict[str, NDArray[Any]]] = {
                "statistics": dict(self.statistics.arrays()),
                "kept": self._kept.state(),
                "scores": self.scores.state(),
                "pool": self._pool.state(),
                "recent": self._recent.state(),
            }
        for part, held in parts.items():
            arrays |= {f"{part}.{name}": value for name, value in held.items()}
        arrays["by_class"] = self._by_class
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
        self.classes = list(values["classes"])
        self._index = {name: i for i, name in enumerate(self.classes)}
        self._statistics = Statistics.of_arrays(parts["statistics"])
        self._kept.restore(parts["kept"])
        self._recent.restore(parts.get("recent", {}))
        self.scores.restore(parts["scores"])
        self.scores.grow(len(self.classes))
        self.drift = PageHinkley(**values["drift"])
        self.relabelled, self.forgotten = values["relabelled"], values["forgotten"]
        self._by_class = parts["by_class"][""].copy()
        self._pool.restore(parts["pool"])
        self._version += 1
