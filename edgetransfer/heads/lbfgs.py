"""L-BFGS for the linear head: logistic regression, and the choice of its penalty by folds."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from edgetransfer.errors import UsageError
from edgetransfer.heads.folds import FOLDS, folds_of
from edgetransfer.heads.lbfgs_steps import MEMORY
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.logistic import WIDTH
from edgetransfer.heads.loss import FloatArray, SoftmaxLoss, residual
from edgetransfer.heads.memory import check_descent_fits
from edgetransfer.heads.selection import Honest, check_rows
from edgetransfer.heads.softmax_fit import Curvature, SoftmaxProblem, Solution
from edgetransfer.heads.spectrum import PRECISE, Spectrum
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

logger = logging.getLogger(__name__)

SOME = 2  # folds
USUAL, WEAKEST, STRONGEST = -6, -13, -1  # strengths, in halves of a decade
WITHOUT_CHOICE = 1e-3  # where there is nothing to hold out
TRIAL_ITERATIONS = 300
TRIAL_GAP = 1e-3  # of a fold's loss: how near it comes to its minimum
WORTH_IT = 0.995  # of the best loss so far: what a weaker penalty must reach to go on
KNOWS = 0.9  # of the loss of knowing nothing: below it a head has learned something
AS_GOOD = 1.005  # times the least loss: the strongest of these is taken
WORTH_KEEPING = 1 << 20  # weights up to which what a fold learned of the curvature is kept
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
        threads: int = 1,
        progress: Progress = no_progress,
    ) -> LBFGSResult:
        """Fit a head to (N, D) features and (N,) labels.

        ``seed`` decides the folds by which the strength is chosen; ``threads`` fit them at once,
        take the halves of all rows, and change no bit.
        """
        from threadpoolctl import threadpool_limits

        check_rows(features, labels, len(classes))
        n, dimension = features.shape
        check_descent_fits(n, dimension, len(classes), pairs=MEMORY, at_once=max(threads, SOME))
        # Beside other work a second thread of linear algebra costs more than it brings.
        small = features.size * len(classes) < WORTH_THREADS
        with threadpool_limits(limits=1 if small else None):
            return self._fit(features, labels, classes, seed, threads, progress)

    def _fit(
        self,
        features: Float32Array,
        labels: IntArray,
        classes: tuple[str, ...],
        seed: int,
        threads: int,
        progress: Progress,
    ) -> LBFGSResult:
        spectrum = Spectrum.of(features, labels, len(classes), threads=threads)
        l2, start = self.l2, None
        tried: dict[float, float] = {}
        honest = None
        folds = folds_of(features, labels, seed)
        if l2 is None and (folds < 0).all():
            logger.warning("one image a class: none to choose l2 with, taking %g", WITHOUT_CHOICE)
            l2 = WITHOUT_CHOICE
        if l2 is None:
            choice = _Choice(spectrum, folds, progress, threads)
            l2, start = choice.l2, choice.start
            tried = choice.tried
            honest = Honest(logits=choice.left_out, labels=labels, method=f"{FOLDS}-fold")
        solution = self._minimised(spectrum, features, l2, start, threads)
        weights = spectrum.basis @ solution.weights
        bias = solution.bias - spectrum.mean @ weights
        head = LinearHead(
            weights=weights.astype(np.float32), bias=bias.astype(np.float32), classes=classes
        )
        loss = SoftmaxLoss(l2).value(features, labels, weights, bias)
        return LBFGSResult(
            head=head,
            l2=l2,
            loss=loss,
            iterations=solution.iterations,
            tried=tuple((value, tried[value]) for value in sorted(tried, reverse=True)),
            honest=honest,
        )

    def _minimised(
        self,
        spectrum: Spectrum,
        features: Float32Array,
        l2: float,
        start: Solution | None,
        threads: int,
    ) -> Solution:
        """In float32 as far as that goes; where it is not far enough, from there in float64."""
        rows, labels = spectrum.rows, spectrum.labels
        solution = start
        if rows.dtype == np.float32 or not self.precise:
            quick = _problem(spectrum, rows.astype(np.float32, copy=False), labels, threads)
            solution = quick.minimise(
                l2, start, max_iterations=self.max_iterations, tolerance=self.tolerance
            )
            if solution.finished or not self.precise:
                return solution
            rows = spectrum.exact_rows(features)
        return _problem(spectrum, rows, labels, threads).minimise(
            l2, solution, max_iterations=self.max_iterations, tolerance=self.tolerance
        )


class _Choice:
    """The penalty with the least cross-entropy on samples that were left out, fold by fold.

    From a usual strength by half decades to weaker ones, each fold going on from its own last
    solution, until that brings nothing any more; to stronger ones where it brought nothing at all.
    Of strengths that are as good the strongest is taken. Where there are many numbers it is chosen
    in some of the folds, and all others are left out at that strength alone.
    """

    def __init__(
        self, spectrum: Spectrum, folds: IntArray, progress: Progress, threads: int
    ) -> None:
        some = SOME if spectrum.rows.size > PRECISE else FOLDS
        looked_in = _Folds(spectrum, folds, range(some), threads)
        total = USUAL - WEAKEST + 2
        tried = self.tried = looked_in.tried
        ignorance = np.log(len(spectrum.counts))

        def look(halves: int) -> float:
            progress("choosing l2", len(tried), max(total, len(tried) + 1))
            return looked_in.score(strength(halves))

        least = look(USUAL)
        halves = USUAL
        while halves > WEAKEST:
            halves -= 1
            score = look(halves)
            # Far too strong a penalty hides all that a weaker one brings.
            if score > (WORTH_IT if least < KNOWS * ignorance else 1) * least:
                break
            least = score
        if least == tried[strength(USUAL)]:
            halves = USUAL
            while halves < STRONGEST and look(halves + 1) <= AS_GOOD * least:
                halves += 1
                least = min(tried.values())
        least = min(tried.values())
        self.l2 = max(l2 for l2, loss in tried.items() if loss <= AS_GOOD * least)
        all_folds = looked_in
        if some < FOLDS:
            all_folds = _Folds(spectrum, folds, range(FOLDS), threads)
            all_folds.score(self.l2, looked_in)
        progress("choosing l2", total, total)
        solutions = all_folds.solutions[self.l2]
        self.left_out = all_folds.left_out(self.l2)
        self.start = Solution(
            weights=np.mean([s.weights for s in solutions], axis=0),
            bias=np.mean([s.bias for s in solutions], axis=0),
        )


class _Folds:
    """Fits that leave a fold out, by strength: their solutions, and the loss on what was left out.

    Parameters
    ----------
    which
        Folds that are fitted.
    threads
        Fit folds at once, and change no bit.
    """

    def __init__(self, spectrum: Spectrum, folds: IntArray, which: range, threads: int) -> None:
        self.tried: dict[float, float] = {}
        self.solutions: dict[float, list[Solution]] = {}
        self._curvatures: dict[int, Curvature] = {}  # of each fold, at its last strength
        self._labels, self._n_classes = spectrum.labels, len(spectrum.counts)
        self._folds, self._which, self._threads = folds, which, threads
        self._spectrum = spectrum
        self._rows = spectrum.rows.astype(np.float32, copy=False)

    def score(self, l2: float, others: _Folds | None = None) -> float:
        """The cross-entropy on left-out samples; starts from ``others`` if there is none here."""
        known = self if self.solutions or others is None else others
        starts: dict[int, Solution] = {}
        near = np.nan
        if known.solutions:
            near = min(known.solutions, key=lambda other: abs(np.log(other / l2)))
            # Of its own fold alone: any other has seen the samples that are left out.
            starts = dict(zip(known._which, known.solutions[near], strict=True))

        def fit(fold: int) -> Solution:
            start = starts.get(fold)
            if start is not None and near == l2:
                return start
            inside = np.flatnonzero(self._folds != fold)
            rows, labels = self._rows[inside], self._labels[inside]
            if start is None and rows.shape[1] > WIDTH:
                start = self._minimised(rows[:, -WIDTH:], labels, l2, None)
            elif start is not None:
                start = replace(start, curvature=known._curvatures.get(fold))
            solution = self._minimised(rows, labels, l2, start)
            if solution.weights.size <= WORTH_KEEPING and solution.curvature is not None:
                self._curvatures[fold] = solution.curvature
            return replace(solution, curvature=None)

        with ThreadPoolExecutor(self._threads) as pool:
            self.solutions[l2] = list(pool.map(fit, self._which))
        tested = np.flatnonzero(np.isin(self._folds, self._which))
        self.tried[l2] = residual(self.left_out(l2)[tested], self._labels[tested])
        return self.tried[l2]

    def _minimised(
        self, rows: FloatArray, labels: IntArray, l2: float, start: Solution | None
    ) -> Solution:
        problem = _problem(self._spectrum, rows, labels)
        return problem.minimise(l2, start, max_iterations=TRIAL_ITERATIONS, gap=TRIAL_GAP)

    def left_out(self, l2: float) -> FloatArray:
        """(N, K) logits by the fits without each sample; one that is in all has none of its own."""
        labels = self._labels
        logits: FloatArray = np.zeros((len(labels), self._n_classes), np.float32)
        for fold, solution in zip(self._which, self.solutions[l2], strict=True):
            outside = np.flatnonzero(self._folds == fold)
            logits[outside] = solution.logits(self._rows[outside])
        alone = np.flatnonzero(self._folds < 0)
        logits[alone, labels[alone]] = -np.inf
        return logits


def strength(halves: int) -> float:
    """So many half decades from 1."""
    return float(10.0 ** (halves / 2))


def _problem(
    spectrum: Spectrum, rows: FloatArray, labels: IntArray, threads: int = 1
) -> SoftmaxProblem:
    return SoftmaxProblem(
        rows=rows,
        labels=labels,
        variances=spectrum.values[-rows.shape[1] :] / len(spectrum.labels),
        n_classes=len(spectrum.counts),
        threads=threads,
    )
