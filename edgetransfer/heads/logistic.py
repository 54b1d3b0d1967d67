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
from edgetransfer.types import IntArray

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
    """The fits over all samples but those of each fold.

    Parameters
    ----------
    spectrum
        Of the samples.
    threads
        Folds that are fitted at the same time; they change no bit.
    """

    def __init__(self, spectrum: Spectrum, *, threads: int = 1) -> None:
        labels = spectrum.labels
        self.folds = folds_of_distinct(np.arange(len(labels)), labels, seed=0)
        rows = leading(spectrum)
        self.scores: FloatArray = np.full((len(labels), len(spectrum.counts)), -np.inf, np.float32)

        def fit(fold: int) -> None:
            inside, outside = np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold)
            if len(outside):
                solution = stopped_early(spectrum, rows[inside], labels[inside])
                self.scores[outside] = solution.logits(rows[outside])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fit, range(FOLDS)))
        alone = np.flatnonzero(self.folds < 0)
        self.scores[alone] = 0
        self.scores[alone, labels[alone]] = -np.inf


def logistic_weights(spectrum: Spectrum) -> tuple[Float64Array, Float64Array]:
    """The (D, K) weights and (K,) bias, fitted to all rows of a spectrum."""
    rows = leading(spectrum)
    solution = stopped_early(spectrum, rows, spectrum.labels)
    weights = spectrum.basis[:, -rows.shape[1] :] @ solution.weights
    return weights, solution.bias - spectrum.mean @ weights


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
