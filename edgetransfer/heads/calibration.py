"""Probabilities that mean something: a temperature, and how far they are from the truth."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.types import IntArray

BINS = 15
ROWS = 5000  # more do not make one number better
STEPS = 60
CLOSE = 1e-4  # of log t
PRECISE = 1 << 16  # numbers up to which they are in float64
RANGE = (1e-4, 1e4)


def fitted_temperature(
    scores: FloatArray, labels: IntArray, offset: FloatArray | float = 0.0
) -> float:
    """The factor t for which softmax(t * scores + offset) has the least cross-entropy.

    Guo et al., "On calibration of modern neural networks" (ICML 2017), section 4.2. With scores
    that each sample got from a head fitted without it, (N, K), it needs no held-out samples. The
    cross-entropy is convex in t, so that Newton's steps by log t, and halves of what is left where
    they lead too far, find its minimum; a sample whose own class has no finite score does not
    count, and without any the factor is 1.

    Where all samples are right no factor is large enough, and a few that are say little: each of
    n samples is taken to be of its class in (n + 1) / (n + 2) of all cases alone, and else of the
    likeliest other one (Platt, "Probabilistic outputs for support vector machines", 1999, section
    2.2, where there are two classes).

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
    part = scores[usable]
    part = part.astype(np.float64 if part.size <= PRECISE else np.float32)
    rows, own_class = np.arange(len(usable)), labels[usable]
    there = np.isfinite(part)
    part[~there] = -np.inf
    part -= part.max(axis=1, keepdims=True)
    doubt = 1 / (len(usable) + 2)
    own = part[rows, own_class]
    others = part.copy()
    others[rows, own_class] = -np.inf
    other = others.max(axis=1)
    expected = np.where(np.isfinite(other), (1 - doubt) * own + doubt * other, own)
    part[~there] = 0
    unit = float(-part[there].mean(dtype=np.float64)) or 1.0
    added = np.where(there, np.asarray(offset, part.dtype), -np.inf)

    def slope(factor: float) -> tuple[float, float]:
        """The derivative by the factor, and the second one."""
        logits = part * part.dtype.type(factor)
        logits += added
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        sums = logits.sum(axis=1)
        logits *= part
        means = logits.sum(axis=1) / sums
        squares = np.einsum("ij,ij->i", logits, part) / sums
        first = np.mean(means - expected, dtype=np.float64)
        return float(first), float(np.mean(squares - means**2, dtype=np.float64))

    low, high = np.log(RANGE[0] / unit), np.log(RANGE[1] / unit)
    at = -np.log(unit)
    for _ in range(STEPS):
        factor = float(np.exp(at))
        first, second = slope(factor)
        if first > 0:
            high = at
        else:
            low = at
        step = -first / (factor * second) if second > 0 else np.inf
        if not low < at + step < high:  # beyond what is known of where the minimum lies
            step = (low + high) / 2 - at
        at += step
        if abs(step) < CLOSE:
            break
    return float(np.exp(at))


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
