"""Medians, their intervals, and the paper's relative error increase."""

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


def relative_error_increase(accuracy: float, dense: float) -> float | None:
    """(err - err_dense) / err_dense of accuracies 0 to 1; None where the dense one has no error.

    Iofinova et al. (CVPR 2022), section 3.1.
    """
    return (dense - accuracy) / (1 - dense) if dense < 1 else None


def mean_and_standard_error(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and its standard error; None for the latter of a single value."""
    array = np.asarray(values, np.float64)
    error = array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else None
    return float(array.mean()), None if error is None else float(error)
