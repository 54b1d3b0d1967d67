"""Probabilities that mean something: a temperature, and how far they are from the truth."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.types import IntArray

BINS = 15
ROWS = 5000  # more do not make one number better
STEPS = 60
RANGE = (1e-4, 1e4)


def fitted_temperature(
    scores: FloatArray, labels: IntArray, offset: FloatArray | float = 0.0
) -> float:
    """The factor t for which softmax(t * scores + offset) has the least cross-entropy.

    Guo et al., "On calibration of modern neural networks" (ICML 2017), section 4.2. With scores
    that each sample got from a head fitted without it, (N, K), it needs no held-out samples. The
    cross-entropy is convex in t, so that its derivative is followed by bisection; a sample whose
    own class has no finite score does not count, and without any the factor is 1.

    Where all samples are right no factor is large enough, and a few that are say little: each of
    n samples is taken to show its class for sure in (n + 1) / (n + 2) of all cases alone, and any
    class in the others (Platt, "Probabilistic outputs for support vector machines", 1999,
    section 2.2).

    Parameters
    ----------
    offset
        (K,), such as the logarithms of the classes' shares.
    """
    own = scores[np.arange(len(labels)), labels]
    usable = np.flatnonzero(np.isfinite(own))
    if not len(usable):
        return 1.0
    usable = usable[:: -(-len(usable) // ROWS)]
    part = scores[usable].astype(np.float64)
    there = np.isfinite(part)
    part[~there] = 0
    part -= np.where(there, part, -np.inf).max(axis=1, keepdims=True)
    unit = float(-part[there].mean()) or 1.0
    doubt = 1 / (len(usable) + 2)
    own = part[np.arange(len(usable)), labels[usable]]
    expected = (1 - doubt) * own + doubt * part.sum(axis=1) / there.sum(axis=1)

    def slope(factor: float) -> float:
        logits = np.where(there, part * factor + offset, -np.inf)
        logits -= logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return float(np.mean(np.einsum("ij,ij->i", probabilities, part) - expected))

    low, high = np.log(RANGE[0] / unit), np.log(RANGE[1] / unit)
    for _ in range(STEPS):
        middle = (low + high) / 2
        if slope(float(np.exp(middle))) > 0:
            high = middle
        else:
            low = middle
        if high - low < 1e-4:
            break
    return float(np.exp((low + high) / 2))


def calibration_error(probabilities: FloatArray, labels: IntArray) -> float:
    """The expected calibration error of (N, K) probabilities, 0 to 1; nan without samples.

    The mean over samples, in 15 bins by the probability of the predicted class, of how far that
    probability is from the share that is right (Naeini et al., AAAI 2015).
    """
    if not len(labels):
        return float("nan")
    sure = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))
