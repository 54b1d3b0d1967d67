"""Heads without iterations: ridge, discriminant and their blend, over feature maps and penalties.

Every candidate is scored on each sample by the head that was fitted without it, exactly, and all
penalties and both methods of a map share one decomposition. The blend adds the two methods'
calibrated scores: least squares bends to the samples between classes, the discriminant to how
classes spread, and their errors differ, so that it is the usual choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgetransfer.errors import UsageError
from edgetransfer.heads.calibration import fitted_temperature
from edgetransfer.heads.discriminant import discriminant_left_out, discriminant_weights
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.ridge import ridge_left_out, ridge_weights
from edgetransfer.heads.selection import (
    BoolArray,
    Honest,
    Trial,
    Votes,
    check_rows,
    distinct_rows,
)
from edgetransfer.heads.spectrum import Products, Spectrum
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import ClassWeights, MapName
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

Method = Literal["lda", "ridge"]

PENALTIES = (*(10.0 ** (e / 2) for e in range(-6, 5)), 1e4)  # the last: nearest class means
# Best on the whole over four backbones, two data sets and 1 to 60 samples a class.
USUAL_PENALTY: dict[Method, float] = {"lda": PENALTIES[7], "ridge": PENALTIES[6]}
# A class of one has nothing to leave out, and one of two is half of itself without one: heads of
# so much less say little of what suits the whole, so that nothing is chosen by them.
ENOUGH = 5  # samples of the middle class
FEW_SPREAD = 2.5  # of each method's logits where there are fewer

LEFT_OUT: dict[Method, Callable[[Spectrum, Products], FloatArray]] = {
    "ridge": ridge_left_out,
    "lda": discriminant_left_out,
}
WEIGHTS: dict[Method, Callable[[Spectrum, float], tuple[Float64Array, Float64Array]]] = {
    "ridge": ridge_weights,
    "lda": discriminant_weights,
}


@dataclass(frozen=True, kw_only=True)
class ClosedFormResult:
    """A fitted head, its probabilities calibrated on left-out scores.

    Parameters
    ----------
    head
        Fitted to all samples.
    chosen
        Which candidate it is.
    tried
        All of them, and every penalty of each.
    honest, uncalibrated
        Left-out logits of the head, and as they were without fitted temperatures.
    """

    head: LinearHead
    chosen: Trial
    tried: tuple[Trial, ...]
    honest: Honest
    uncalibrated: Honest

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class ClosedFormSolver:
    """Fit ridge and discriminant heads, and take the best or their blend.

    Parameters
    ----------
    methods
        One or both; both are blended too.
    maps
        On which feature maps; the first is the usual one.
    penalty
        In units of the mean scatter of a mapped feature; chosen if None.
    class_weights
        ``none``: each sample counts alike, so that a class that is often seen is more often
        predicted. ``balanced``: each class counts alike.
    seed
        Of the random directions of the map ``relu``.
    """

    methods: tuple[Method, ...] = ("lda", "ridge")
    maps: tuple[MapName, ...] = ("power-l2", "l2")
    penalty: float | None = None
    class_weights: ClassWeights = "none"
    seed: int = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.penalty is not None and not 0 < self.penalty < float("inf"):
            raise UsageError(f"--penalty is 'auto' or a number above zero, not {self.penalty}")
        if self.class_weights not in ("none", "balanced"):
            raise UsageError(f"--class-weights is none or balanced, not {self.class_weights!r}")

    def fit(
        self,
        features: Float32Array,
        labels: IntArray,
        classes: tuple[str, ...],
        *,
        threads: int = 1,
        progress: Progress = no_progress,
    ) -> ClosedFormResult:
        """Fit (N, D) features and (N,) labels; every class needs a sample.

        Samples that occur twice do not stand on both sides of a test: what is scored and chosen
        by are the distinct ones, and the head is fitted to all. ``threads`` above 1 fits two maps
        at once; it changes no bit.
        """
        from threadpoolctl import threadpool_limits

        check_rows(features, labels, len(classes))
        distinct = distinct_rows(features, labels)
        mappings = [FeatureMap.made(m, features.shape[1], seed=self.seed) for m in self.maps]
        progress("fitting heads", 0, len(mappings))

        def tried(mapping: FeatureMap) -> _MapSearch:
            rows = mapping(features[distinct])
            return _MapSearch(self, mapping, rows, labels[distinct], len(classes))

        # A decomposition gains little from a second thread, and loses much beside other work.
        with threadpool_limits(1), ThreadPoolExecutor(min(threads, len(mappings))) as pool:
            searches = list(pool.map(tried, mappings))
            candidates = [(search, parts) for search in searches for parts in search.candidates]
            votes = searches[0].votes
            rights = [search.right(parts) for search, parts in candidates]
            usual = len(searches[0].candidates) - 1
            place = usual if searches[0].few else votes.choose(rights, usual)
            search, parts = candidates[place]
            spectrum = search.spectrum
            if len(distinct) < len(labels):
                spectrum = search.decompose(search.mapping(features), labels)
            progress("fitting heads", len(mappings), len(mappings))
            trials = [
                search.trial(parts, votes.accuracy(right))
                for (search, parts), right in zip(candidates, rights, strict=True)
            ]
            return ClosedFormResult(
                head=search.head(parts, spectrum, classes),
                chosen=trials[place],
                tried=(*trials, *(trial for s in searches for trial in s.penalties_tried)),
                honest=search.honest(parts),
                uncalibrated=search.honest(
                    [replace(part, factor=1.0) for part in parts], calibrated=False
                ),
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """One method at one penalty: its left-out scores, and the factor that calibrates them."""

    method: Method
    penalty: float
    scores: FloatArray
    factor: float


class _MapSearch:
    """Each method's best penalty on one feature map, over distinct samples."""

    def __init__(
        self,
        solver: ClosedFormSolver,
        mapping: FeatureMap,
        rows: Float32Array,
        labels: IntArray,
        n_classes: int,
    ) -> None:
        self.solver = solver
        self.mapping = mapping
        self.labels = labels
        self.counts = np.bincount(labels, minlength=n_classes)
        self.few = float(np.median(self.counts)) < ENOUGH
        self.votes = Votes.of(labels, solver.class_weights)
        self.spectrum = self.decompose(rows, labels)
        self.penalties_tried: list[Trial] = []
        parts = [self._best_penalty(method) for method in solver.methods]
        self.candidates: list[list[_Part]] = [[part] for part in parts]
        if len(parts) > 1:
            self.candidates.append(parts)

    def decompose(self, rows: Float32Array, labels: IntArray) -> Spectrum:
        weights = None
        if self.solver.class_weights == "balanced":
            weights = 1 / np.bincount(labels, minlength=len(self.counts))
        return Spectrum.of(rows, labels, len(self.counts), weights)

    def _best_penalty(self, method: Method) -> _Part:
        own = self.solver.penalty
        penalties = PENALTIES if own is None else (own,)
        rights: list[BoolArray] = []
        for penalty in penalties:
            scores = LEFT_OUT[method](self.spectrum, self.spectrum.products(penalty))
            scores = scores * scores.dtype.type(self._scale(method))
            rights.append(self.votes.right(scores + self._shares(method), self.labels))
            self.penalties_tried.append(
                Trial(
                    solver=method,
                    map=self.mapping.name,
                    penalties=(penalty,),
                    accuracy=self.votes.accuracy(rights[-1]),
                )
            )
        usual = penalties.index(USUAL_PENALTY[method]) if own is None else 0
        penalty = penalties[usual if self.few else self.votes.choose(rights, usual)]
        scores = LEFT_OUT[method](self.spectrum, self.spectrum.products(penalty))
        scores = scores * scores.dtype.type(self._scale(method))
        if self.few:
            factor = FEW_SPREAD / _spread(scores)
        else:
            factor = fitted_temperature(scores, self.labels, self._shares(method))
        return _Part(method=method, penalty=penalty, scores=scores, factor=factor)

    def _scale(self, method: Method) -> float:
        """A discriminant's scores are of a scatter: times N they are of a covariance."""
        return float(len(self.labels)) if method == "lda" else 1.0

    def _shares(self, method: Method) -> FloatArray:
        """(K,), added to calibrated scores: ridge knows of itself how often a class is seen."""
        shares = np.ones(len(self.counts), np.float32)
        if method == "lda" and self.solver.class_weights == "none":
            shares = (self.counts / len(self.labels)).astype(np.float32)
        logarithms: FloatArray = np.log(shares)
        return logarithms

    def _blended(self, parts: Sequence[_Part]) -> FloatArray:
        """(N, K), the mean of the parts' calibrated left-out logits."""
        total: FloatArray = np.zeros_like(parts[0].scores)
        for part in parts:
            total += part.scores * part.scores.dtype.type(part.factor)
            total += self._shares(part.method)
        return total / total.dtype.type(len(parts))

    def right(self, parts: Sequence[_Part]) -> BoolArray:
        return self.votes.right(self._blended(parts), self.labels)

    def trial(self, parts: Sequence[_Part], accuracy: float) -> Trial:
        return Trial(
            solver="+".join(part.method for part in parts),
            map=self.mapping.name,
            penalties=tuple(part.penalty for part in parts),
            accuracy=accuracy,
        )

    def _blend_factor(self, parts: Sequence[_Part]) -> float:
        """What calibrates the mean of several calibrated parts."""
        if len(parts) == 1 or not len(self.votes.tested):
            return 1.0
        return fitted_temperature(self._blended(parts), self.labels)

    def honest(self, parts: Sequence[_Part], *, calibrated: bool = True) -> Honest:
        logits = self._blended(parts)
        if calibrated:
            logits *= logits.dtype.type(self._blend_factor(parts))
        alone = np.flatnonzero(self.counts[self.labels] == 1)
        logits[alone, self.labels[alone]] = -np.inf
        return Honest(logits=logits, labels=self.labels, method="leave-one-out")

    def head(
        self, parts: Sequence[_Part], spectrum: Spectrum, classes: tuple[str, ...]
    ) -> LinearHead:
        """The head of a candidate, made from the spectrum of all samples."""
        weights: Float64Array = np.zeros((len(spectrum.basis), len(classes)))
        bias: Float64Array = np.zeros(len(classes))
        factor = self._blend_factor(parts) / len(parts)
        for part in parts:
            own_weights, own_bias = WEIGHTS[part.method](spectrum, part.penalty)
            scale = part.factor * (len(spectrum.labels) if part.method == "lda" else 1)
            weights += own_weights * scale * factor
            bias += (own_bias * scale + self._shares(part.method)) * factor
        return LinearHead(
            weights=weights.astype(np.float32),
            bias=bias.astype(np.float32),
            classes=classes,
            map=self.mapping,
        )


def _spread(scores: FloatArray) -> float:
    """The standard deviation of a sample's scores; 1 where they are equal."""
    there = np.isfinite(scores)
    counts = np.maximum(there.sum(axis=1, keepdims=True), 1)
    finite = np.where(there, scores, 0).astype(np.float64)
    deviations = np.where(there, finite - finite.sum(axis=1, keepdims=True) / counts, 0)
    spread = float(np.sqrt(np.square(deviations).sum() / max(there.sum(), 1)))
    return spread if spread > np.finfo(np.float32).tiny else 1.0
