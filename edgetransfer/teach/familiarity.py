"""Whether a photo resembles any that was labelled.

A softmax is sure of noise, too. What has no near neighbour among the labelled photos shows none of
their classes (Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep nearest neighbors",
ICML 2022). How near is near enough is what the labelled photos themselves are to one another: a
twentieth of them would be taken for unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array

NEIGHBOURS = 3
REJECTED = 0.05  # of photos that do show a class
ENOUGH = 12  # photos, to tell at all
ROWS_AT_ONCE = 512

_MAP = FeatureMap(name="power-l2")


@dataclass(frozen=True, kw_only=True)
class Familiarity:
    """The labelled photos, and how near others must be to one of them.

    Parameters
    ----------
    rows
        (N, D) float32, mapped: of length one.
    least
        The mean cosine to the three nearest from which on a photo is familiar.
    """

    rows: Float32Array
    least: float

    __repr__ = short_repr

    @staticmethod
    def mapped(features: Float32Array) -> Float32Array:
        """(n, D) features as rows whose products are their likeness."""
        return _MAP(features)

    @classmethod
    def of(cls, features: Float32Array) -> Familiarity | None:
        """From (N, D) features of labelled photos; None of too few."""
        if len(features) < ENOUGH:
            return None
        rows = cls.mapped(features)
        likeness = np.concatenate(
            [
                _likeness(rows[i : i + ROWS_AT_ONCE], rows, leave_out=i)
                for i in range(0, len(rows), ROWS_AT_ONCE)
            ]
        )
        return cls(rows=rows, least=float(np.quantile(likeness, REJECTED)))

    def knows(self, features: Float32Array) -> NDArray[np.bool_]:
        """(n,) of (n, D) features: whether each resembles a labelled photo."""
        known: NDArray[np.bool_] = _likeness(self.mapped(features), self.rows) >= self.least
        return known


def _likeness(
    rows: Float32Array, others: Float32Array, leave_out: int | None = None
) -> Float32Array:
    """(n,), the mean cosine of each row to its nearest three of others.

    ``leave_out`` is the place of the first row among the others: none is its own neighbour.
    """
    cosines = rows @ others.T
    if leave_out is not None:
        cosines[np.arange(len(rows)), leave_out + np.arange(len(rows))] = -np.inf
    nearest: Float32Array = np.partition(cosines, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
    mean: Float32Array = nearest.mean(axis=1)
    return mean
