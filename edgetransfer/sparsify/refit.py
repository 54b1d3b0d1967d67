"""The least-squares weights on a support that was chosen."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from edgetransfer.sparsify.layers import Float64Array
from edgetransfer.sparsify.selection import Mask
from edgetransfer.types import IntArray


def refit(
    inputs: Float64Array,
    cross: Float64Array,
    kept: Mask,
    pool: Executor,
) -> Float64Array:
    """The least-squares weights on each row's own support.

    Parameters
    ----------
    inputs
        (K, K) regularised second moments, positive definite.
    cross
        (R, K) cross moments.
    kept
        (R, K): which weights stay.

    Returns
    -------
    (R, K) float64, zero where not kept.
    """

    def solve(row: int) -> Float64Array:
        support: IntArray = np.flatnonzero(kept[row])
        result = np.zeros(len(inputs))
        if len(support):
            result[support] = np.linalg.solve(inputs[np.ix_(support, support)], cross[row, support])
        return result

    if kept.all():
        full: Float64Array = np.linalg.solve(inputs, cross.T).T
        return full
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        return np.stack(list(pool.map(solve, range(len(cross)))))
