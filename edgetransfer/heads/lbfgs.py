"""L-BFGS for the linear head: logistic regression, and the choice of its penalty by folds."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from edgetransfer.errors import UsageError
from edgetransfer.heads.folds import FOLDS, folds_of
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import FloatArray, SoftmaxLoss, residual
from edgetransfer.heads.selection import Honest, check_rows
from edgetransfer.heads.softmax_fit import SoftmaxProblem, Solution
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

logger = logging.getLogger(__name__)

DECADES = (-1.0, -2.0, -3.0, -4.0, -5.0, -6.0)
WITHOUT_CHOICE = 1e-3  # where there is nothing to hold out
TRIAL_ITERATIONS = 300
TRIAL_GAP = 0.01  # of a fold's loss: how near it comes to its minimum
WORTH_IT = 0.99  # of the best loss so far: what a weaker penalty must reach to go on
AS_GOOD = 1.005  # times the least loss: the strongest of these is taken
# Multiply-adds of one product below which threads cost linear algebra more than they bring:
# on two cores 3,030 x 1,024 features and 101 classes took 28 s with two threads, 18 s with one.
WORTH_THREADS = 10**9


@dataclass(frozen=True, kw_only=True)
class LBFGSResult:
    """A fitted head.

    Parameters
    ----------
    head
        The minimiser.
    l2
        The strength of the penalty that was used.
    loss
        The objective at the minimiser, `SoftmaxLoss` with that strength.
    iterations
        How many L-BFGS iterations the last fit took.
    tried
        Strength and left-out cross-entropy of each strength tried; empty if it was given.
    honest
        Left-out logits at the strength that was chosen; None if it was given.
    """

    head: LinearHead
    l2: float
    loss: float
    iterations: int
    tried: tuple[tuple[float, float], ...] = ()
    honest: Honest | None = None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class LBFGSSolver:
    """Minimise `SoftmaxLoss` over all features at once.

    The minimum is that of scikit-learn's `LogisticRegression` with C = 1 / (l2 * N), for two
    classes 2 / (l2 * N).

    Parameters
    ----------
    l2
        The strength of the penalty, or None to choose it by five folds.
    max_iterations
        Of one fit.
    tolerance
        The largest entry of the gradient at which a fit is finished.
    precise
        Whether the fit is done in float64; in float32 it takes half the time, and cannot reach
        the smallest tolerances.
    """

    l2: float | None = None
    max_iterations: int = 1000
    tolerance: float = 1e-5
    precise: bool = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.l2 is not None and not 0 < self.l2 < float("inf"):
            raise UsageError(f"--l2 is 'auto' or a number above zero, not {self.l2}")

    def fit(
        self,
        features: Float32Array,
        labels: IntArray,
        classes: tuple[str, ...],
        *,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> LBFGSResult:
        """Fit a head to (N, D) features and (N,) labels.

        ``seed`` decides the folds by which the strength is chosen.
        """
        from threadpoolctl import threadpool_limits

        check_rows(features, labels, len(classes))
        # Beside other work a second thread of linear algebra costs more than it brings.
        small = features.size * len(classes) < WORTH_THREADS
        with threadpool_limits(limits=1 if small else None):
            return self._fit(features, labels, classes, seed, progress)

    def _fit(
        self,
        features: Float32Array,
        labels: IntArray,
        classes: tuple[str, ...],
        seed: int,
        progress: Progress,
    ) -> LBFGSResult:
        spectrum = Spectrum.of(features, labels, len(classes))
        l2, start = self.l2, None
        tried: dict[float, float] = {}
        honest = None
        folds = folds_of(features, labels, seed)
        if l2 is None and (folds < 0).all():
            logger.warning("one image a class: none to choose l2 with, taking %g", WITHOUT_CHOICE)
            l2 = WITHOUT_CHOICE
        if l2 is None:
            choice = _Choice(spectrum, folds, progress)
            l2, start = choice.l2, choice.start
            tried = choice.tried
            honest = Honest(logits=choice.left_out, labels=labels, method=f"{FOLDS}-fold")
        exact = self.precise and spectrum.rows.dtype != np.float64
        rows = spectrum.exact_rows(features) if exact else spectrum.rows
        if not self.precise:
            rows = rows.astype(np.float32)
        solution = _problem(spectrum, rows, labels).minimise(
            l2, start, max_iterations=self.max_iterations, tolerance=self.tolerance
        )
        weights = spectrum.basis @ solution.weights
        bias = solution.bias - spectrum.mean @ weights
        head = LinearHead(
            weights=weights.astype(np.float32), bias=bias.astype(np.float32), classes=classes
        )
        loss = SoftmaxLoss(l2).value(rows, labels, solution.weights, solution.bias)
        return LBFGSResult(
            head=head,
            l2=l2,
            loss=loss,
            iterations=solution.iterations,
            tried=tuple((value, tried[value]) for value in sorted(tried, reverse=True)),
            honest=honest,
        )


class _Choice:
    """The penalty with the least cross-entropy on samples that were left out, fold by fold.

    Strengths go from strong to weak, each fold starting from its own last solution, until that
    brings nothing any more; then the half-decades beside the best are tried. Of strengths that
    are as good the strongest is taken.
    """

    def __init__(self, spectrum: Spectrum, folds: IntArray, progress: Progress) -> None:
        self.spectrum = spectrum
        self.folds = folds
        self.tried: dict[float, float] = {}
        self._found: dict[float, tuple[list[Solution], FloatArray]] = {}
        rows = spectrum.rows.astype(np.float32)
        self._parts = []
        for fold in range(FOLDS):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            problem = _problem(spectrum, rows[inside], spectrum.labels[inside])
            self._parts.append((problem, rows[outside], outside))
        total = len(DECADES) + 2
        least = np.inf
        for exponent in DECADES:
            progress("choosing l2", len(self.tried), total)
            score = self._score(10.0**exponent)
            if score > WORTH_IT * least:
                break
            least = score
        best = min(self.tried, key=self.tried.__getitem__)
        for strength in (best * 10**0.5, best / 10**0.5):
            progress("choosing l2", len(self.tried), total)
            self._score(strength)
        progress("choosing l2", total, total)
        least = min(self.tried.values())
        self.l2 = max(l2 for l2, loss in self.tried.items() if loss <= AS_GOOD * least)
        solutions, self.left_out = self._found[self.l2]
        self.start = Solution(
            weights=np.mean([s.weights for s in solutions], axis=0),
            bias=np.mean([s.bias for s in solutions], axis=0),
        )

    def _score(self, l2: float) -> float:
        starts: list[Solution | None] = [None] * FOLDS
        if self._found:
            near = min(self._found, key=lambda known: abs(np.log(known / l2)))
            starts = list(self._found[near][0])
        labels = self.spectrum.labels
        left_out = np.empty((len(labels), len(self.spectrum.counts)), np.float32)
        solutions = []
        for (problem, rows, outside), start in zip(self._parts, starts, strict=True):
            solution = problem.minimise(l2, start, max_iterations=TRIAL_ITERATIONS, gap=TRIAL_GAP)
            solutions.append(solution)
            left_out[outside] = solution.logits(rows)
        tested = np.flatnonzero(self.folds >= 0)
        self.tried[l2] = residual(left_out[tested], labels[tested])
        alone = np.flatnonzero(self.folds < 0)
        left_out[alone, :] = 0
        left_out[alone, labels[alone]] = -np.inf
        self._found[l2] = solutions, left_out
        return self.tried[l2]


def _problem(spectrum: Spectrum, rows: FloatArray, labels: IntArray) -> SoftmaxProblem:
    return SoftmaxProblem(
        rows=rows,
        labels=labels,
        variances=spectrum.values / len(spectrum.labels),
        n_classes=len(spectrum.counts),
    )
