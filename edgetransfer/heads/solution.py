"""Heads, and the metric of the unknown, at a penalty: from moments or from a spectrum.

Both give the same. A Cholesky factor takes a tenth of the time of a decomposition, and is in double
precision, so that the eigenbasis in which penalties are chosen need not be.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edgetransfer.heads.discriminant import correction_of, discriminant_weights
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.novelty import Novelty, novelty_of
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.ridge import ridge_weights
from edgetransfer.heads.selection import Method
from edgetransfer.heads.spectrum import Spectrum

CLASSES_AT_ONCE = 1024  # bounds the memory of a solution
WIDE = 1024  # classes above which a K x K matrix takes more than another factor


class ClosedForms(Protocol):
    """What the closed forms make of all samples."""

    def of(self, method: Method, penalty: float) -> tuple[FloatArray, Float64Array]:
        """The (D, K) weights and (K,) bias of a method; the discriminant's of a covariance."""

    def novelty(self, penalty: float, threshold: float) -> Novelty:
        """What tells the unknown."""


class FactoredForms:
    """From moments.

    All are of the class means times (T + penalty)^-1, which is solved once a penalty; but for the
    discriminant of very many classes, whose K x K matrices would take more than S itself.

    Parameters
    ----------
    precise
        If not, in float32: half of the time, and good to 1e-3.
    """

    def __init__(self, moments: Moments, *, precise: bool = True) -> None:
        self._moments = moments
        self._precise = precise
        self._projected: dict[float, FloatArray] = {}

    def of(self, method: Method, penalty: float) -> tuple[FloatArray, Float64Array]:
        """See `ClosedForms`."""
        moments, n = self._moments, max(self._moments.n, 1)
        totals = moments.totals
        if method == "ridge":
            projected = self._at(penalty)
            weights = projected * totals.astype(projected.dtype)
            return weights, totals / n - moments.mean @ weights
        means = moments.class_means - moments.mean
        if len(totals) > WIDE:
            weights = self._solved(moments.within, penalty) * np.float32(n)
        else:
            projected = self._at(penalty)
            products = means @ projected
            correction = correction_of(products, totals) @ products
            weights = projected @ ((correction + np.eye(len(correction))) * n)
        own = np.einsum("kd,dk->k", means, weights)
        return weights, own / -2 - moments.mean @ weights

    def novelty(self, penalty: float, threshold: float) -> Novelty:
        """See `ClosedForms`."""
        moments = self._moments
        means = moments.class_means - moments.mean
        return Novelty.of(self._at(penalty), means, moments.mean, moments.totals, threshold)

    def _at(self, penalty: float) -> FloatArray:
        """(D, K): (T + penalty)^-1 times the class means less the mean of all."""
        if penalty not in self._projected:
            self._projected[penalty] = self._solved(self._moments.total, penalty)
        return self._projected[penalty]

    def _solved(self, scatter: Float64Array, penalty: float) -> FloatArray:
        moments = self._moments
        factor = moments.factored(scatter, penalty, precise=self._precise)
        solved: FloatArray = np.empty(moments.class_means.T.shape, factor.lower.dtype)
        for first in range(0, len(moments.counts), CLASSES_AT_ONCE):
            block = slice(first, first + CLASSES_AT_ONCE)
            solved[:, block] = factor.solve((moments.class_means[block] - moments.mean).T)
        return solved


class SpectralForms:
    """From a spectrum: of fewer samples than features, whose scatter is the larger matrix."""

    def __init__(self, spectrum: Spectrum) -> None:
        self._spectrum = spectrum

    def of(self, method: Method, penalty: float) -> tuple[FloatArray, Float64Array]:
        """See `ClosedForms`."""
        if method == "ridge":
            return ridge_weights(self._spectrum, penalty)
        weights, bias = discriminant_weights(self._spectrum, penalty)
        n = self._spectrum.counts.sum()
        return weights * n, bias * n

    def novelty(self, penalty: float, threshold: float) -> Novelty:
        """See `ClosedForms`."""
        return novelty_of(self._spectrum, penalty, threshold)
