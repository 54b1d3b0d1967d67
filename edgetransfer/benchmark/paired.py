"""Whether a backbone is less accurate than another, from trainings on the same seeds and photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.types import IntArray

FLIPS = 20_000
Floats = NDArray[np.floating[Any]]


def outcomes_of(labels: IntArray, predicted: IntArray) -> dict[str, Any]:
    """The labels of (n,) tested photos, and which were right, as JSON keeps them.

    ``right`` has a bit a photo, in hex.
    """
    return {
        "n": len(labels),
        "labels": labels.tolist(),
        "right": np.packbits(labels == predicted).tobytes().hex(),
    }


def right_of(tested: Mapping[str, Any]) -> Floats:
    """(n,) ones and zeros, from `outcomes_of`."""
    bits = np.frombuffer(bytes.fromhex(tested["right"]), np.uint8)
    return np.unpackbits(bits)[: tested["n"]].astype(np.float64)


def seed_interval(values: Sequence[float]) -> dict[str, float | None]:
    """The mean of one value a seed, their standard deviation, and its 95 % interval.

    Of Student's t with n - 1 degrees of freedom; all but the mean are None of a single seed.
    """
    array = np.asarray(values, np.float64)
    mean, n = float(array.mean()), len(array)
    if n < 2:
        return {"mean": mean, "deviation": None, "low": None, "high": None}
    from scipy.stats import t

    deviation = float(array.std(ddof=1))
    half = float(t.ppf(0.975, n - 1)) * deviation / sqrt(n)
    return {"mean": mean, "deviation": deviation, "low": mean - half, "high": mean + half}


def paired_test(
    dense: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]], metric: str
) -> dict[str, Any] | None:
    """Test the accuracy lost against dense over the same photos; None where they are others.

    The difference of each photo is averaged over the seeds first, for the same photos tested by
    several seeds are no new photos. Their signs are then exchanged at random: with one seed that is
    McNemar's test (1947); of Fisher's, see Good, "Permutation Tests" (2000), chapter 3.

    Parameters
    ----------
    dense, own
        Of each seed, in the same order, what `outcomes_of` made.
    metric
        ``top1`` or ``mean_per_class``; of the latter each photo weighs by its class.

    Returns
    -------
    ``gap`` (0 to 1, positive where less accurate), ``p`` of a gap as large or larger by chance,
    and ``photos``.
    """
    labels = dense[0]["labels"] if dense else []
    if not labels or any(tested["labels"] != labels for tested in (*dense, *own)):
        return None
    differences = np.mean(
        [right_of(d) - right_of(o) for d, o in zip(dense, own, strict=True)], axis=0
    )
    differences = differences * _weights(np.asarray(labels), metric)
    observed = abs(float(differences.sum()))
    moved = differences[differences != 0]
    rng = np.random.default_rng(0)
    reached = 0
    step = max(1, 2_000_000 // max(len(moved), 1))
    for start in range(0, FLIPS, step):
        signs = rng.integers(0, 2, (min(step, FLIPS - start), len(moved)), np.int8) * 2 - 1
        reached += int((np.abs(signs @ moved) >= observed - 1e-12).sum())
    return {
        "gap": float(differences.sum()),
        # The observed order is one of those that are possible.
        "p": (reached + 1) / (FLIPS + 1),
        "photos": len(labels),
    }


def _weights(labels: NDArray[Any], metric: str) -> Floats:
    """How much a photo counts; the sum is 1."""
    if metric == "top1":
        return np.full(len(labels), 1 / len(labels))
    counts = np.bincount(labels)
    return np.asarray(1 / (counts[labels] * (counts > 0).sum()), np.float64)
