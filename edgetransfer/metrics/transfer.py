"""How much worse a backbone transfers than another: the paper's relative error increase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
