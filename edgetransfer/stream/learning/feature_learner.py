"""The learner by steps of SGD, which can also be made to forget.

What steps have done to a head cannot be undone: it is fitted anew to the rows that are still
remembered.
"""

from __future__ import annotations

import numpy as np

from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.learner_state import Waiting
from edgetransfer.stream.learning.randomness import batch_randomness
from edgetransfer.stream.learning.records import Record
from edgetransfer.stream.learning.refit import fit
from edgetransfer.stream.learning.stepping_learner import SteppingLearner


class FeatureLearner(SteppingLearner):
    """Predicts, scores, learns and forgets feature rows; parameters as of `SteppingLearner`."""

    def forget(self, ids: frozenset[str], classes: frozenset[str]) -> int:
        """Remove samples by their ids, and whole classes; see `remove`."""
        return self.remove(frozenset(map(id_key, ids)), classes)

    def remove(self, keys: frozenset[bytes], classes: frozenset[str]) -> int:
        """Remove samples and whole classes, and fit the head anew to what stays.

        Returns how many rows and waiting samples were removed. A class that loses all of its
        samples by key keeps its column; one that is named goes.
        """
        gone = frozenset(self._index[name] for name in classes if name in self._index)
        removed = self.reservoir.forget(keys, gone)
        kept = [w for w in self._waiting if w.key not in keys and w.label not in gone]
        removed += len(self._waiting) - len(kept)
        self._waiting = kept
        removed += sum(map(self.pool.leave, keys))
        if self._refit is not None:
            self._refit.state()  # its thread still reads rows that must go
            self._refit = None
        if gone:
            self._drop_classes(gone)
        self._fit_anew()
        return removed

    def _drop_classes(self, gone: frozenset[int]) -> None:
        names = [name for i, name in enumerate(self.classes) if i not in gone]
        places = {name: i for i, name in enumerate(names)}
        new = [places.get(name, -1) for name in self.classes]
        self.scores.grow(len(self.classes))
        self.scores.relabel(new)
        self.reservoir.relabel(new)
        kept = [i for i in range(len(self.solver.classes)) if i not in gone]
        head = self.solver.head
        self.solver.adopt(
            np.ascontiguousarray(head.weights[:, kept]),
            head.bias[kept],
            tuple(head.classes[i] for i in kept),
        )
        self._by_class = self._by_class[[i for i in range(len(self._by_class)) if i not in gone]]
        self._waiting = [Waiting(key=w.key, label=new[w.label], rows=w.rows) for w in self._waiting]
        self.classes, self._index = names, places

    def _fit_anew(self) -> None:
        rng = batch_randomness(self.settings.seed, self.counts.batches, 2)
        features, labels = self.reservoir.subset(self.settings.refit_rows, rng)
        head = self.solver.head
        weights, bias = np.zeros_like(head.weights), np.zeros_like(head.bias)
        if len(labels):
            candidate = fit(features, labels, self._l2, self.settings.seed)
            if candidate is not None:
                # A class without rows must not win against those that have some.
                bias[:] = candidate.bias.min() - 10
                weights[:, candidate.labels] = candidate.weights
                bias[candidate.labels] = candidate.bias
        self.solver.adopt(weights, bias, head.classes)

    # Beside a learner on statistics

    def passed(self, record: Record) -> None:
        """Count a record that is of another learner alone."""
        self.counts.go_behind(record)
        self.counts.accepted += record.key is not None

    def relabel(self, key: bytes, old: str, name: str) -> None:
        """Give what is remembered of a sample, or waits, another label.

        What it has taught by the old one is forgotten only as later steps overwrite it.
        """
        before = self._index.get(old, -1)
        label = self._index.setdefault(name, len(self._index))
        if label == len(self.classes):
            self.classes.append(name)
        waits = [w.key == key for w in self._waiting]
        if any(waits):
            self._waiting = [
                Waiting(key=w.key, label=label, rows=w.rows) if here else w
                for w, here in zip(self._waiting, waits, strict=True)
            ]
            return
        self.solver.grow(tuple(self.classes))
        self._by_class = np.pad(self._by_class, (0, len(self.classes) - len(self._by_class)))
        self._by_class[before] -= 1
        self._by_class[label] += 1
        self.reservoir.move(key, label)
