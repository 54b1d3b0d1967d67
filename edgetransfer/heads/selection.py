"""Which head to take, and what is known of it, without any held-out sample.

What is chosen by its score is a little worse than its score, and with few samples noise decides.
So a candidate must beat the one that is best on the whole by more than a standard error of the
difference, which is measured sample by sample, on the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgetransfer.errors import DataError
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import ClassWeights
from edgetransfer.types import Float32Array, IntArray

BoolArray = NDArray[np.bool_]

Method = Literal["lda", "ridge"]
AnyMethod = Literal["lda", "ridge", "logistic"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One candidate.

    Parameters
    ----------
    solver, map
        What it is.
    penalties
        Of each of the solver's parts, in units of the mean scatter of a mapped feature.
    accuracy
        The share of samples that its left-out heads got right, classes weighted as asked for;
        nan where no class has two samples.
    """

    solver: str
    map: str
    penalties: tuple[float, ...]
    accuracy: float

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Honest:
    """What is known of a head without any held-out sample.

    Parameters
    ----------
    logits
        (N, K), of each sample by a head that was fitted without it; -inf for a class without any
        other sample.
    labels
        (N,) int64.
    method
        Such as ``leave-one-out``.
    alike
        Of each sample that the head was fitted to, the first that is alike: the logits are of
        these alone, in their order. None if they are of all.
    """

    logits: FloatArray
    labels: IntArray
    method: str
    alike: IntArray | None = None

    __repr__ = short_repr

    @property
    def tested(self) -> IntArray:
        """Which samples have another of their class, so that they could be recognised."""
        own = self.logits[np.arange(len(self.labels)), self.labels]
        return np.flatnonzero(np.isfinite(own))

    def probabilities(self) -> FloatArray:
        """(n, K), of the samples that were tested."""
        logits = self.logits[self.tested]
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits


@dataclass(frozen=True, kw_only=True)
class Votes:
    """How much each sample counts when candidates are compared.

    Parameters
    ----------
    tested
        Which samples have another of their class.
    weights
        One for each of them, with sum 1.
    """

    tested: IntArray
    weights: Float64Array

    @classmethod
    def of(cls, labels: IntArray, counts: IntArray, class_weights: ClassWeights) -> Votes:
        """Each sample alike, or each class alike; ``counts``, (K,), are of all that there are."""
        tested = np.flatnonzero(counts[labels] > 1)
        weights = np.ones(len(tested))
        if class_weights == "balanced":
            weights /= counts[labels[tested]]
        return cls(tested=tested, weights=weights / max(weights.sum(), 1e-300))

    def right(self, logits: FloatArray, labels: IntArray) -> BoolArray:
        """Which of the samples tested (N, K) logits get right."""
        right: BoolArray = logits[self.tested].argmax(axis=1) == labels[self.tested]
        return right

    def accuracy(self, right: BoolArray) -> float:
        """The weighted share that is right; nan without samples."""
        return min(float(self.weights @ right), 1.0) if len(right) else float("nan")

    def choose(self, rights: Sequence[BoolArray], usual: int) -> int:
        """The place of the most accurate candidate, or ``usual`` if that may be as good."""
        if not len(self.tested):
            return usual
        best = int(np.argmax([self.accuracy(right) for right in rights]))
        difference = rights[best].astype(np.float64) - rights[usual]
        gain = self.weights @ difference
        error = np.sqrt(self.weights**2 @ (difference - gain) ** 2)
        return best if gain > error else usual


def check_rows(features: Float32Array, labels: IntArray, n_classes: int) -> None:
    """Refuse what no head can be fitted to.

    Raises
    ------
    DataError
        If a feature is not finite, a class has no sample, or there is only one class.
    """
    if n_classes < 2:
        raise DataError("only one class; a classifier needs at least two")
    if not np.isfinite(features).all():
        raise DataError("a feature is not a finite number")
    if np.bincount(labels, minlength=n_classes).min() == 0:
        raise DataError("a class has no sample to learn from")
