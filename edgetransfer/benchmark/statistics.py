"""Medians and their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000


def median_interval(values: Sequence[float]) -> dict[str, float]:
    """The median with its 95 % bootstrap interval (percentiles of resampled medians), and the mean.

    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. With two or
    three values the interval is their range; with one all numbers are that value. The mean is
    what the paper reports.
    """
    array = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.percentile(np.median(array[drawn], axis=1), [2.5, 97.5])
    return {
        "median": float(np.median(array)),
        "low": float(low),
        "high": float(high),
        "mean": float(array.mean()),
    }
