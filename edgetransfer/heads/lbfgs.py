"""L-BFGS for the linear head: scikit-learn's logistic regression, and the choice of its penalty."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetransfer.errors import UsageError
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import FloatArray, SoftmaxLoss
from edgetransfer.sampling import equal_rows, stratified_holdout
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

logger = logging.getLogger(__name__)

DECADES = (-1.0, -2.0, -3.0, -4.0, -5.0, -6.0)
HELD_OUT = 0.2
WITHOUT_CHOICE = 1e-3  # where there is nothing to hold out
TRIAL_ITERATIONS = 300
CLEARLY_WORSE = 1.05
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
        Strength and held-out cross-entropy of each strength tried; empty if it was given.
    """

    head: LinearHead
    l2: float
    loss: float
    iterations: int
    tried: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LBFGSSolver:
    """Minimise `SoftmaxLoss` over all features at once.

    scikit-learn's objective is C * sum of losses + 1/2 ||W||^2, so its C is 1 / (l2 * N).

    Parameters
    ----------
    l2
        The strength of the penalty, or None to choose it on a held-out fifth of each class;
        equal rows, as copies of a photo give, are not held out from one another.
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

        ``seed`` fixes which samples are held out when the strength is chosen.
        """
        import sklearn.linear_model  # noqa: F401  # the limit is for the libraries that are loaded
        from threadpoolctl import threadpool_limits

        # Once around all fits: OpenBLAS's second thread spins for a while after each change.
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
        tried: list[tuple[float, float]] = []
        l2 = self.l2
        if l2 is None:
            held = stratified_holdout(labels, HELD_OUT, seed, equal_rows(features))
            if held.any():
                tried = self._try_strengths(features, labels, len(classes), held, progress)
                l2 = min(tried, key=lambda pair: pair[1])[0]
            else:
                logger.warning(
                    "one image a class: none to choose l2 with, taking %g", WITHOUT_CHOICE
                )
                l2 = WITHOUT_CHOICE
        exact: FloatArray = features
        if self.precise:
            exact = features.astype(np.float64)
        model = self._minimise(exact, labels, len(classes), l2)
        weights, bias = _softmax_form(model)
        head = LinearHead(
            weights=weights.astype(np.float32), bias=bias.astype(np.float32), classes=classes
        )
        loss = SoftmaxLoss(l2).value(exact, labels, weights, bias)
        return LBFGSResult(
            head=head, l2=l2, loss=loss, iterations=int(np.max(model.n_iter_)), tried=tuple(tried)
        )

    def _try_strengths(
        self,
        features: Float32Array,
        labels: IntArray,
        n_classes: int,
        held: NDArray[np.bool_],
        progress: Progress,
    ) -> list[tuple[float, float]]:
        """Held-out cross-entropy by strength: decades first, then half-decades beside the best.

        Each fit starts at zero and ends as the final one will (in float32, which takes half the
        time); a warm start would end at once for the weakest penalties. Weaker penalties than
        one that is clearly worse are not tried.
        """
        kept = features[~held].astype(np.float32), labels[~held]
        trial = replace(self, max_iterations=min(TRIAL_ITERATIONS, self.max_iterations))
        tried: dict[float, float] = {}
        total = len(DECADES) + 2

        def score(exponent: float) -> float:
            progress("choosing l2", len(tried), total)
            model = trial._minimise(*kept, n_classes, 10.0**exponent)
            value = SoftmaxLoss().value(features[held], labels[held], *_softmax_form(model))
            tried[exponent] = value
            return value

        scores: list[float] = []
        for exponent in DECADES:
            scores.append(score(exponent))
            if scores[-1] > CLEARLY_WORSE * min(scores):
                break
        best = min(tried, key=lambda e: tried[e])
        for exponent in (best + 0.5, best - 0.5):
            score(exponent)
        progress("choosing l2", total, total)
        return [(10.0**e, tried[e]) for e in sorted(tried, reverse=True)]

    def _minimise(
        self,
        features: FloatArray,
        labels: IntArray,
        n_classes: int,
        l2: float,
    ) -> LogisticRegression:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        # Two classes are fitted with one column w; as softmax weights (-w/2, w/2) it has half
        # the squared norm, so half the penalty.
        strength = l2 / 2 if n_classes == 2 else l2
        model = LogisticRegression(
            C=1 / (strength * len(labels)),
            solver="lbfgs",
            max_iter=self.max_iterations,
            tol=self.tolerance,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(features, labels)


def _softmax_form(model: LogisticRegression) -> tuple[FloatArray, FloatArray]:
    """The (D, K) weights and (K,) bias of a fitted model, for two classes as well."""
    weights, bias = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:
        weights = np.concatenate([-weights, weights], axis=1) / 2
        bias = np.concatenate([-bias, bias]) / 2
    return np.ascontiguousarray(weights), bias
