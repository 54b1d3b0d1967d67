"""What is chosen among: two methods in closed form and their blend, at their best penalties.

Each is scored on every sample by the head that was fitted without it, exactly, and all penalties
and both methods share one decomposition. The blend adds the two methods' calibrated scores: least
squares bends to the samples between classes, the discriminant to how classes spread, and their
errors differ, so that it is the usual choice. Softmax regression (`EarlyLogistic`) may be blended
in too, where it was fitted; it asks where classes meet, and errs differently again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from edgetransfer.heads.calibration import fitted_temperature
from edgetransfer.heads.discriminant import discriminant_left_out
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.folds import FOLDS
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.logistic import PENALTY as EARLY
from edgetransfer.heads.logistic import EarlyLogistic, is_worth_it
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.novelty import left_out_distances, threshold_of
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.products import Labelled, LabelledRows, Products, factored_products
from edgetransfer.heads.ridge import ridge_left_out
from edgetransfer.heads.selection import AnyMethod, BoolArray, Honest, Method, Trial, Votes
from edgetransfer.heads.solution import ClosedForms
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.settings.train import ClassWeights
from edgetransfer.types import Float32Array, IntArray

PENALTIES = (*(10.0 ** (e / 2) for e in range(-6, 5)), 1e4)  # the last: nearest class means
# Best on the whole over four backbones, two data sets and 1 to 60 samples a class.
USUAL_PENALTY: dict[Method, float] = {"lda": PENALTIES[7], "ridge": PENALTIES[6]}
LOOKED_AT = USUAL_PENALTY["ridge"]  # of both, when maps are compared by one factor
# A class of one has nothing to leave out, and one of two is half of itself without one: heads of
# so much less say little of what suits the whole, so that nothing is chosen by them.
ENOUGH = 5  # samples of the middle class
CLOSED = 2.0  # times what softmax regression counts in a blend, the closed forms count together
TOGETHER = 1 << 20  # scores of one method at several penalties that exist at once, to a thread
TRIED_ON = 8192  # samples: more say no more about a penalty, and take time at each
FEW_SPREAD = 2.5  # of each method's logits where there are fewer

LEFT_OUT: dict[Method, Callable[[Labelled, Products], FloatArray]] = {
    "ridge": ridge_left_out,
    "lda": discriminant_left_out,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One method at one penalty: its left-out scores, and the factor that calibrates them.

    ``counts`` is how much it counts in a blend.
    """

    method: AnyMethod
    penalty: float
    scores: FloatArray
    factor: float
    counts: float = 1.0


class MapCandidates:
    """Each method at its best penalty on one feature map, and their blend.

    Parameters
    ----------
    spectrum
        Of all samples; its rows are those that are scored.
    methods, penalty, class_weights
        As of `ClosedFormSolver`.
    threads
        Take blocks of rows, and change no bit.
    """

    def __init__(
        self,
        mapping: FeatureMap,
        spectrum: Spectrum,
        methods: Sequence[Method],
        penalty: float | None,
        class_weights: ClassWeights,
        *,
        threads: int = 1,
    ) -> None:
        self._threads = threads
        self.mapping = mapping
        self.spectrum = spectrum
        self.labels, self.counts = spectrum.labels, spectrum.counts
        present = self.counts[self.counts > 0]
        self.few = not len(self.labels) or float(np.median(present)) < ENOUGH
        self.votes = Votes.of(self.labels, self.counts, class_weights)
        self._some = spectrum.every(every(len(self.labels)))
        self._some_votes = Votes.of(self._some.labels, self.counts, class_weights)
        self.penalties_tried: list[Trial] = []
        self._penalty = penalty
        self._class_weights = class_weights
        self._early: EarlyLogistic | None = None
        self._usually_right: list[BoolArray] = []
        parts = self._best_penalties(methods)
        self.candidates: list[list[Part]] = [[part] for part in parts]
        if len(parts) > 1:
            self.candidates.append(parts)

    def _best_penalties(self, methods: Sequence[Method]) -> list[Part]:
        own = self._penalty
        penalties = PENALTIES if own is None else (own,)
        some, votes = self._some, self._some_votes

        # So many penalties at a time: scores of them all would be too many.
        together = max(1, TOGETHER // max(len(some.labels) * len(self.counts), 1))

        def tried(penalties: Sequence[float]) -> list[list[BoolArray]]:
            return [
                rights_of(methods, some, products, votes, self._class_weights)
                for products in some.path(penalties)
            ]

        parts_of_path = [penalties[i : i + together] for i in range(0, len(penalties), together)]
        with ThreadPoolExecutor(self._threads) as pool:
            found = [rights for part in pool.map(tried, parts_of_path) for rights in part]
        rights = {method: [one[i] for one in found] for i, method in enumerate(methods)}
        parts = []
        for method, right in rights.items():
            self.penalties_tried += [
                Trial(
                    solver=method,
                    map=self.mapping.name,
                    penalties=(penalty,),
                    accuracy=votes.accuracy(one),
                )
                for penalty, one in zip(penalties, right, strict=True)
            ]
            usual = penalties.index(USUAL_PENALTY[method]) if own is None else 0
            self._usually_right.append(right[penalties.index(LOOKED_AT) if own is None else 0])
            penalty = penalties[usual if self.few else votes.choose(right, usual)]
            parts.append(self._part(method, penalty))
        return parts

    def _part(self, method: Method, penalty: float) -> Part:
        products = self.spectrum.products(penalty, threads=self._threads)
        scores = left_out_scores(method, self.spectrum, products)
        if self.few:
            factor = FEW_SPREAD / spread_of(scores)
        else:
            factor = fitted_temperature(scores, self.labels, self._shares(method))
        return Part(method=method, penalty=penalty, scores=scores, factor=factor)

    def add_logistic(
        self, copies: tuple[Float32Array, IntArray] | None = None, *, threads: int = 1
    ) -> None:
        """Have softmax regression among the candidates, alone and in a blend with the best.

        Nothing is added where the samples are too few to see what it brings, or so many that it
        would take minutes. ``copies`` and ``threads`` are as of `EarlyLogistic`.
        """
        spectrum = self.spectrum
        n, dimension = len(self.labels), len(spectrum.values)
        if self.few or not is_worth_it(n, dimension, len(self.counts)):
            return
        self._early = EarlyLogistic(spectrum, copies, threads=threads)
        scores = self._early.scores
        factor = fitted_temperature(scores, self.labels, self._shares("logistic"))
        part = Part(method="logistic", penalty=EARLY, scores=scores, factor=factor)
        closed = self.choose()
        together = [replace(one, counts=CLOSED / len(closed)) for one in closed]
        self.candidates += [[part], [*together, part]]

    def _shares(self, method: AnyMethod) -> FloatArray:
        return shares_of(method, self.counts, self._class_weights)

    def may_lose(self, rights: Sequence[BoolArray]) -> bool:
        """Whether a map may be better whose methods got this right, all at the penalty looked at.

        That is whether it is better there, on the mean of the methods.
        """
        votes = self._some_votes
        gains = [
            votes.accuracy(right) - votes.accuracy(own)
            for right, own in zip(rights, self._usually_right, strict=True)
        ]
        return sum(gains) > 0

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
            counts = part.scores.dtype.type(part.counts)
            total += part.scores * part.scores.dtype.type(part.factor) * counts
            total += self._shares(part.method) * counts
        return total / total.dtype.type(sum(part.counts for part in parts))

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
        folded = [part.method == "logistic" for part in parts]
        method = f"{FOLDS}-fold" if all(folded) else "leave-one-out"
        if any(folded) and not all(folded):
            method += f" and {FOLDS}-fold"
        return Honest(logits=logits, labels=self.labels, method=method)

    def head(
        self, parts: Sequence[Part], forms: ClosedForms, classes: tuple[str, ...]
    ) -> LinearHead:
        """The head of a candidate, made from what the closed forms make of all samples."""
        weights: Float64Array = np.zeros((len(self.spectrum.basis), len(classes)))
        bias: Float64Array = np.zeros(len(classes))
        whole = self.blend_factor(parts) / sum(part.counts for part in parts)
        for part in parts:
            if part.method == "logistic":
                assert self._early is not None
                own_weights, own_bias = self._early.weights()
            else:
                own_weights, own_bias = forms.of(part.method, part.penalty)
            factor = whole * part.counts
            weights += own_weights * (part.factor * factor)
            bias += (own_bias * part.factor + self._shares(part.method)) * factor
        threshold = self.novelty_threshold()
        novelty = None if threshold is None else forms.novelty(self.novelty_penalty, threshold)
        return LinearHead(
            weights=weights.astype(np.float32),
            bias=bias.astype(np.float32),
            classes=classes,
            map=self.mapping,
            novelty=novelty,
        )

    @property
    def novelty_penalty(self) -> float:
        """At which the unknown are told: the discriminant's own."""
        own = [p.penalty for parts in self.candidates for p in parts if p.method == "lda"]
        return own[0] if own else USUAL_PENALTY["lda"]

    def novelty_threshold(self) -> float | None:
        """The distance beyond which a sample is unknown; None where too few were tested."""
        if len(self.counts) < 2:
            return None
        distances = left_out_distances(self._some, self.novelty_penalty)
        return threshold_of(distances, self._some_votes.tested)


def every(n: int) -> int:
    """Of n rows each so many-th is one that penalties are tried on."""
    return -(-n // TRIED_ON) or 1


def rights_of(
    methods: Sequence[Method],
    rows: Labelled,
    products: Products,
    votes: Votes,
    class_weights: ClassWeights,
) -> list[BoolArray]:
    """Which rows each method gets right, left out."""
    return [
        votes.right(
            left_out_scores(method, rows, products) + shares_of(method, rows.counts, class_weights),
            rows.labels,
        )
        for method in methods
    ]


def rights_at_usual(
    methods: Sequence[Method],
    penalty: float | None,
    moments: Moments,
    rows: Float32Array,
    labels: IntArray,
    class_weights: ClassWeights,
) -> list[BoolArray]:
    """As `rights_of`, at ``penalty`` or the usual one, in float32 by one Cholesky factor."""
    step = every(len(labels))
    weights = np.ones(len(moments.counts)) if moments.weights is None else moments.weights
    some = LabelledRows(labels=labels[::step], counts=moments.counts, weights=weights)
    votes = Votes.of(some.labels, some.counts, class_weights)
    products = factored_products(moments, rows[::step], LOOKED_AT if penalty is None else penalty)
    return rights_of(methods, some, products, votes, class_weights)


def left_out_scores(method: Method, rows: Labelled, products: Products) -> FloatArray:
    """(N, K); a discriminant's are of a scatter: times N they are of a covariance."""
    scores = LEFT_OUT[method](rows, products)
    if method == "lda":
        scores *= scores.dtype.type(rows.counts.sum())
    return scores


def shares_of(method: AnyMethod, counts: IntArray, class_weights: ClassWeights) -> FloatArray:
    """(K,), added to calibrated scores: how often a class is seen, or that it is not to matter.

    Of the discriminant it must be said; least squares and the softmax loss know it by themselves,
    and the latter, which has no weights, must be told to forget it.
    """
    shares = (counts / max(counts.sum(), 1)).astype(np.float32)
    balanced = class_weights == "balanced"
    with np.errstate(divide="ignore"):  # a class that has lost its samples
        logarithms: FloatArray = np.log(shares)
    if method == "logistic" and balanced:
        return np.where(shares > 0, -logarithms, 0).astype(np.float32)
    return logarithms if method == "lda" and not balanced else np.zeros_like(shares)


def spread_of(scores: FloatArray) -> float:
    """The standard deviation of a sample's scores; 1 where they are equal."""
    there = np.isfinite(scores)
    counts = np.maximum(there.sum(axis=1, keepdims=True), 1)
    finite = np.where(there, scores, 0).astype(np.float64)
    deviations = np.where(there, finite - finite.sum(axis=1, keepdims=True) / counts, 0)
    spread = float(np.sqrt(np.square(deviations).sum() / max(there.sum(), 1)))
    return spread if spread > np.finfo(np.float32).tiny else 1.0
