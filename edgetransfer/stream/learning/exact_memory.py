"""What is held of learned samples as whole numbers, so that each can be taken away again.

Sums over all of them, a uniform sample of them, and, of a stream that heeds the last ones alone,
those. Adding a sample and taking it away undo each other exactly.
"""

from __future__ import annotations

from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.heads import FeatureMap, Statistics
from edgetransfer.stream.learning.key_sample import KeySample
from edgetransfer.stream.learning.recent import RecentSamples
from edgetransfer.types import Float32Array, IntArray

KEPT = 4096  # samples that a head is chosen and calibrated by
WAITING = 64  # rows that are added to the sums at once


class ExactMemory:
    """Mapped feature rows with their labels, in a form that forgets as exactly as it learns.

    Parameters
    ----------
    dimension
        The length D of a row.
    feature_map
        What rows go through on their way here.
    recent
        Samples that count, the last ones; None for all.

    Attributes
    ----------
    lock
        Held while anything here changes, and by whoever reads two things that belong together:
        heads are solved in another thread.
    version
        Another number after every change.
    classes, by_class
        Names in the order of their birth, and (K,) int64 how many samples each has.
    index
        The place of each class in `classes`.
    kept
        A uniform sample of what is here.
    """

    def __init__(self, dimension: int, feature_map: FeatureMap, recent: int | None) -> None:
        self.map = feature_map
        self.lock = RLock()
        self.version = 0
        self.classes: list[str] = []
        self.by_class: IntArray = np.zeros(0, np.int64)
        self.kept = KeySample(dimension, KEPT)
        self.index: dict[str, int] = {}
        self._recent = RecentSamples(dimension, recent)
        self._statistics = Statistics(dimension, 0)
        self._waiting: list[tuple[Float32Array, int]] = []

    @property
    def statistics(self) -> Statistics:
        """The sums over all samples."""
        with self.lock:
            waiting, self._waiting = self._waiting, []
            if waiting:
                rows = np.concatenate([rows for rows, _ in waiting])
                labels = np.repeat([label for _, label in waiting], [len(r) for r, _ in waiting])
                self._statistics.update(rows, labels)
            return self._statistics

    def all_kept(self) -> bool:
        """Whether `kept` is all there is, by one row each."""
        rows = self._statistics.n + sum(len(rows) for rows, _ in self._waiting)
        return int(self.by_class.sum()) == len(self.kept) == rows

    def born(self, name: str) -> int:
        """The place of a class, new or not."""
        label = self.index.setdefault(name, len(self.index))
        if label == len(self.classes):
            with self.lock:
                self.classes.append(name)
                self.by_class = np.pad(self.by_class, (0, 1))
                self._statistics.grow(len(self.classes))
        return label

    def learn(self, key: bytes, rows: Float32Array, label: int) -> None:
        """Add a sample by its (views, D) rows; one that is not among the last any more leaves."""
        mapped = self.map(rows)
        with self.lock:
            self.by_class[label] += 1
            self.kept.add(key, mapped[0], label)
            self._waiting.append((mapped, label))
            self._recent.add(key, mapped, label)
            for sample in self._recent.past():
                self._subtract(*sample)
            if sum(len(rows) for rows, _ in self._waiting) >= WAITING:
                _ = self.statistics
            self.version += 1

    def relabel(self, key: bytes, rows: Float32Array, old: int, label: int) -> None:
        """Give a learned sample another label; nothing of one that is here no more."""
        if key not in self._recent:
            return
        mapped = self.map(rows)
        with self.lock:
            views = np.full(len(mapped), 0, np.int64)
            self.statistics.relabel(mapped, views + old, views + label)
            self.by_class[old] -= 1
            self.by_class[label] += 1
            self.kept.relabel(key, label)
            self._recent.relabel(key, label)
            self.version += 1

    def forget(self, key: bytes, rows: Float32Array, label: int) -> None:
        """Take a learned sample away; nothing of one that is here no more."""
        if key in self._recent:
            mapped = self.map(rows)
            with self.lock:
                self._subtract(key, mapped, label)
                self.version += 1

    def _subtract(self, key: bytes, mapped: Float32Array, label: int) -> None:
        self.statistics.subtract(mapped, np.full(len(mapped), label, np.int64))
        self.by_class[label] -= 1
        self.kept.forget(key)
        self._recent.forget(key)

    def drop(self, gone: frozenset[str]) -> list[int]:
        """Let go of classes that have no sample any more; the new place of each, -1 for none."""
        names = [name for name in self.classes if name not in gone]
        places = {name: i for i, name in enumerate(names)}
        new = [places.get(name, -1) for name in self.classes]
        with self.lock:
            self.kept.renumber(new)
            self._recent.renumber(new)
            kept = np.flatnonzero(np.array(new) >= 0)
            self.statistics.dropped(kept)
            self.by_class = self.by_class[kept]
            self.classes, self.index = names, places
            self.version += 1
        return new

    def state(self) -> dict[str, NDArray[Any]]:
        """The arrays that a checkpoint needs beside the names of the classes."""
        with self.lock:
            parts: dict[str, dict[str, NDArray[Any]]] = {
                "statistics": dict(self.statistics.arrays()),
                "kept": self.kept.state(),
                "recent": self._recent.state(),
            }
            by_class = self.by_class.copy()
        arrays = {f"{part}.{name}": a for part, held in parts.items() for name, a in held.items()}
        return {**arrays, "by_class": by_class}

    def restore(self, classes: list[str], parts: dict[str, dict[str, NDArray[Any]]]) -> None:
        """Go on from the parts of what `state` returned; see `LearnerState.parts`."""
        with self.lock:
            self.classes = list(classes)
            self.index = {name: i for i, name in enumerate(self.classes)}
            self._statistics = Statistics.of_arrays(parts["statistics"])
            self.kept.restore(parts["kept"])
            self._recent.restore(parts.get("recent", {}))
            self.by_class = parts["by_class"][""].copy()
            self.version += 1
