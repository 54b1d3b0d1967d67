"""How much samples of rare classes count."""

from __future__ import annotations

import numpy as np

from edgetransfer.types import Float32Array, IntArray

MOST = 10.0  # times as much as the others, or as little


def class_importance(labels: IntArray, by_class: IntArray) -> Float32Array:
    """Weights by the inverse of class frequency, at most tenfold either way, mean one.

    Parameters
    ----------
    labels
        (n,) of the samples.
    by_class
        (K,) learned samples of each class, these among them.

    Returns
    -------
    (n,) float32.
    """
    present = max(1, int((by_class > 0).sum()))
    even = by_class.sum() / present
    weights = np.clip(even / by_class[labels], 1 / MOST, MOST)
    scaled: Float32Array = (weights / weights.mean()).astype(np.float32)
    return scaled
