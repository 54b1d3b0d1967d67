"""Softmax regression in the eigenbasis, stopped early: what bends to the samples that are hard.

Least squares and the discriminant see means and scatter alone; the softmax loss asks where classes
meet. From nothing, in unknowns of one curvature (see `softmax_fit`), a dozen steps of L-BFGS do
nearly all of its good, and stopping there shrinks as a penalty does. Along the directions of little
scatter there is nothing to be won. So it takes a tenth of the time of a fit to its minimum with a
search for the penalty; and what it says of samples that were left out comes of five fits.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from edgetransfer.heads.folds import FOLDS, folds_of_distinct
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.softmax_fit import SoftmaxProblem, Solution
from edgetransfer.types import Float32Array, IntArray

if TYPE_CHECKING:
    from edgetransfer.heads.spectrum import Spectrum

PENALTY = 3e-3  # in units of the mean scatter of a feature
STEPS = 12
WIDTH = 512  # directions, of the most scatter
# Multiply-adds of one look at all samples, above which it takes minutes: 30,000 samples of 200
# classes are about as much.
WORTH_IT = 3 * 10**9


def is_worth_it(n: int, dimension: int, n_classes: int) -> bool:
    """Whether so many samples, features and classes are fitted within seconds."""
    return n * min(dimension, WIDTH) * n_classes <= WORTH_IT


class EarlyLogistic:
    """The fits over all samples but those of each fold, and over all.

    Parameters
    ----------
    spectrum
        Of the samples that are distinct.
    copies
        (m, D) rows of others, which are alike to these, and their (m,) labels: the last fit has
        them too.
    threads
        Fits that are done at the same time; they change no bit.

    Attributes
    ----------
    scores
        (N, K) float32, of each distinct sample by the fit without it.
    """

    def __init__(
        self,
        spectrum: Spectrum,
        copies: tuple[Float32Array, IntArray] | None = None,
        *,
        threads: int = 1,
    ) -> None:
        labels = spectrum.labels
        self.folds = folds_of_distinct(np.arange(len(labels)), labels, seed=0)
        self.scores: FloatArray = np.full((len(labels), len(spectrum.counts)), -np.inf, np.float32)
        self._basis = spectrum.basis[:, -WIDTH:]
        self._mean = spectrum.mean
        rows = leading(spectrum)

        def fit(fold: int) -> Solution:
            if fold == FOLDS:
                return stopped_early(spectrum, *self._with(copies, rows, labels))
            inside, outside = np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold)
            solution = stopped_early(spectrum, rows[inside], labels[inside])
            self.scores[outside] = solution.logits(rows[outside])
            return solution

        with ThreadPoolExecutor(threads) as pool:
            # The longest first, so that no thread waits for it at the end.
            self._whole, *_ = pool.map(fit, range(FOLDS, -1, -1))
        alone = np.flatnonzero(self.folds < 0)
        self.scores[alone] = 0
        self.scores[alone, labels[alone]] = -np.inf

    def weights(self) -> tuple[Float64Array, Float64Array]:
        """The (D, K) weights and (K,) bias, fitted to all samples."""
        weights = self._basis @ self._whole.weights
        return weights, self._whole.bias - self._mean @ weights

    def _with(
        self, copies: tuple[Float32Array, IntArray] | None, rows: FloatArray, labels: IntArray
    ) -> tuple[FloatArray, IntArray]:
        if copies is None:
            return rows, labels
        more = (copies[0] - self._mean).astype(np.float32) @ self._basis.astype(np.float32)
        return np.concatenate([rows, more]), np.concatenate([labels, copies[1]])


def leading(spectrum: Spectrum) -> FloatArray:
    """(N, r) float32 rows along the directions of the most scatter."""
    return np.ascontiguousarray(spectrum.rows[:, -WIDTH:], np.float32)


def stopped_early(spectrum: Spectrum, rows: FloatArray, labels: IntArray) -> Solution:
    """`STEPS` steps from nothing on some (n, r) of the `leading` rows."""
    n = len(spectrum.labels)
    problem = SoftmaxProblem(
        rows=rows,
        labels=labels,
        variances=spectrum.values[-rows.shape[1] :] / n,
        n_classes=len(spectrum.counts),
    )
    return problem.minimise(PENALTY * spectrum.unit / n, None, max_iterations=STEPS)
