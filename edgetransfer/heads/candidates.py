"""What closed-form solvers choose among: two methods and their blend, at their best penalties.

Every candidate is scored on each sample by the head that was fitted without it, exactly, and all
penalties and both methods share one decomposition. The blend adds the two methods' calibrated
scores: least squares bends to the samples between classes, the discriminant to how classes
spread, and their errors differ, so that it is the usual choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgetransfer.heads.calibration import fitted_temperature
from edgetransfer.heads.discriminant import discriminant_left_out, discriminant_weights
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.ridge import ridge_left_out, ridge_weights
from edgetransfer.heads.selection import BoolArray, ClassWeights, Honest, Trial, Votes
from edgetransfer.heads.spectrum import Products, Spectrum

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One method at one penalty: its left-out scores, and the factor that calibrates them."""

    method: Method
    penalty: float
    scores: FloatArray
    factor: float


class MapCandidates:
    """Each method at its best penalty on one feature map, and their blend.

    Parameters
    ----------
    spectrum
        Of all samples; its rows are those that are scored.
    methods, penalty, class_weights
        As of `ClosedFormSolver`.
    """

    def __init__(
        self,
        mapping: FeatureMap,
        spectrum: Spectrum,
        methods: Sequence[Method],
        penalty: float | None,
        class_weights: ClassWeights,
    ) -> None:
        self.mapping = mapping
        self.spectrum = spectrum
        self.labels, self.counts = spectrum.labels, spectrum.counts
        present = self.counts[self.counts > 0]
        self.few = not len(self.labels) or float(np.median(present)) < ENOUGH
        self.votes = Votes.of(self.labels, self.counts, class_weights)
        self.penalties_tried: list[Trial] = []
        self._penalty = penalty
        self._class_weights = class_weights
        parts = [self._best_penalty(method) for method in methods]
        self.candidates: list[list[Part]] = [[part] for part in parts]
        if len(parts) > 1:
            self.candidates.append(parts)

    def _best_penalty(self, method: Method) -> Part:
        own = self._penalty
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
            factor = FEW_SPREAD / spread_of(scores)
        else:
            factor = fitted_temperature(scores, self.labels, self._shares(method))
        return Part(method=method, penalty=penalty, scores=scores, factor=factor)

    def _scale(self, method: Method) -> float:
        """A discriminant's scores are of a scatter: times N they are of a covariance."""
        return float(self.counts.sum()) if method == "lda" else 1.0

    def _shares(self, method: Method) -> FloatArray:
        """(K,), added to calibrated scores: ridge knows of itself how often a class is seen."""
        shares = np.ones(len(self.counts), np.float32)
        if method == "lda" and self._class_weights == "none":
            shares = (self.counts / max(self.counts.sum(), 1)).astype(np.float32)
        with np.errstate(divide="ignore"):  # a class that has lost its samples
            logarithms: FloatArray = np.log(shares)
        return logarithms

    def choose(self) -> list[Part]:
        """The best candidate; the last one, unless it is clearly worse."""
        usual = len(self.candidates) - 1
        if self.few:
            return self.candidates[usual]
        rights = [self.right(parts) for parts in self.candidates]
        return self.candidates[self.votes.choose(rights, usual)]

    def _blended(self, parts: Sequence[Part]) -> FloatArray:
        """(N, K), the mean of the parts' calibrated left-out logits."""
        total: FloatArray = np.zeros_like(parts[0].scores)
        for part in parts:
            total += part.scores * part.scores.dtype.type(part.factor)
            total += self._shares(part.method)
        return total / total.dtype.type(len(parts))

    def right(self, parts: Sequence[Part]) -> BoolArray:
        """Which of the tested rows a candidate gets right, left out."""
        return self.votes.right(self._blended(parts), self.labels)

    def trial(self, parts: Sequence[Part], accuracy: float) -> Trial:
        """A candidate for the report."""
        return Trial(
            solver="+".join(part.method for part in parts),
            map=self.mapping.name,
            penalties=tuple(part.penalty for part in parts),
            accuracy=accuracy,
        )

    def blend_factor(self, parts: Sequence[Part]) -> float:
        """What calibrates the mean of several calibrated parts."""
        if len(parts) == 1 or not len(self.votes.tested):
            return 1.0
        return fitted_temperature(self._blended(parts), self.labels)

    def honest(self, parts: Sequence[Part], *, calibrated: bool = True) -> Honest:
        """A candidate's left-out logits."""
        logits = self._blended(parts)
        if calibrated:
            logits *= logits.dtype.type(self.blend_factor(parts))
        alone = np.flatnonzero(self.counts[self.labels] == 1)
        logits[alone, self.labels[alone]] = -np.inf
        return Honest(logits=logits, labels=self.labels, method="leave-one-out")

    def head(
        self, parts: Sequence[Part], spectrum: Spectrum, classes: tuple[str, ...]
    ) -> LinearHead:
        """The head of a candidate, made from the spectrum of all samples."""
        weights: Float64Array = np.zeros((len(spectrum.basis), len(classes)))
        bias: Float64Array = np.zeros(len(classes))
        factor = self.blend_factor(parts) / len(parts)
        for part in parts:
            own_weights, own_bias = WEIGHTS[part.method](spectrum, part.penalty)
            scale = part.factor * (spectrum.counts.sum() if part.method == "lda" else 1)
            weights += own_weights * scale * factor
            bias += (own_bias * scale + self._shares(part.method)) * factor
        return LinearHead(
            weights=weights.astype(np.float32),
            bias=bias.astype(np.float32),
            classes=classes,
            map=self.mapping,
        )


def spread_of(scores: FloatArray) -> float:
    """The standard deviation of a sample's scores; 1 where they are equal."""
    there = np.isfinite(scores)
    counts = np.maximum(there.sum(axis=1, keepdims=True), 1)
    finite = np.where(there, scores, 0).astype(np.float64)
    deviations = np.where(there, finite - finite.sum(axis=1, keepdims=True) / counts, 0)
    spread = float(np.sqrt(np.square(deviations).sum() / max(there.sum(), 1)))
    return spread if spread > np.finfo(np.float32).tiny else 1.0
