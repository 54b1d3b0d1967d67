"""How alike two classifiers' answers are (Peste, thesis 2023, section 3.6.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetransfer.metrics.intervals import wilson_interval
from edgetransfer.types import Float32Array, IntArray

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of two classifiers' answers on the same photos.

    Parameters
    ----------
    count
        How many photos.
    agreed
        On how many both name the same class.
    both_wrong, same_mistake
        On how many both are wrong, and on how many of these they name the same class.
    cross_entropy
        Mean of the second's surprise under the first's probabilities, in nats:
        ``-sum(p_first * log p_second)``.
    entropy
        Mean of the first's own: what the cross-entropy is where both say the same.
    """

    count: int
    agreed: int
    both_wrong: int
    same_mistake: int
    cross_entropy: float
    entropy: float

    @property
    def share(self) -> float:
        """On which share of the photos both name the same class; nan without photos."""
        return self.agreed / self.count if self.count else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of that share."""
        return wilson_interval(self.agreed, self.count)


def log_softmax(logits: Float32Array) -> Float64Array:
    """(N, K) logits to (N, K) logarithms of probabilities, float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    found: Float64Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def agreement(first: Float32Array, second: Float32Array, labels: IntArray) -> Agreement:
    """Compare two classifiers' logits, (N, K) each, on photos with labels (N,)."""
    logs, others = log_softmax(first), log_softmax(second)
    named, named_too = first.argmax(axis=1), second.argmax(axis=1)
    wrong = (named != labels) & (named_too != labels)
    likely = np.exp(logs)
    count = len(labels)
    return Agreement(
        count=count,
        agreed=int((named == named_too).sum()),
        both_wrong=int(wrong.sum()),
        same_mistake=int((wrong & (named == named_too)).sum()),
        cross_entropy=float(-(likely * others).sum() / count) if count else float("nan"),
        entropy=float(-(likely * logs).sum() / count) if count else float("nan"),
    )
