"""Heads from statistics alone: ridge, discriminant and their blend, for samples that keep coming.

The candidates are those of a batch, and they are chosen and calibrated in the same way, on a
sample of the rows: each is scored by the head that was fitted to all samples but it, which follows
from the statistics of all and the row alone. So a head is a function of what was learned, in
whatever order, and where the rows are all there are it is the head of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgetransfer.heads.alike import first_alike
from edgetransfer.heads.candidates import (
    FEW_SPREAD,
    USUAL_PENALTY,
    AnyMethod,
    MapCandidates,
    Method,
    Part,
    spread_of,
)
from edgetransfer.heads.discriminant import correction_of
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.novelty import Novelty
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.selection import Honest
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.types import Float32Array, IntArray

METHODS: tuple[Method, ...] = ("lda", "ridge")
CHOSEN_AMONG = 1024  # classes at most for which heads are compared: it takes K x K matrices
FEW_ROWS = 256  # that show how far the scores of more classes are apart
CLASSES_AT_ONCE = 1024  # bounds the memory of a solution
NOWHERE = 100.0  # below the least bias: of a class that has lost all of its samples


@dataclass(frozen=True, kw_only=True)
class Component:
    """One method in a head: its penalty, and the factor that its scores are multiplied by."""

    method: AnyMethod
    penalty: float
    factor: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a head is made of.

    Parameters
    ----------
    components
        Whose calibrated scores are added up.
    factor
        What calibrates their mean.
    unknown
        Penalty and threshold of what tells the unknown; None if that is not known.
    """

    components: tuple[Component, ...]
    factor: float
    unknown: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class StatisticsSolver:
    """Solves heads from moments of mapped rows.

    Parameters
    ----------
    map
        That the rows went through.
    """

    map: FeatureMap

    def choose(
        self, moments: Moments, rows: Float32Array, labels: IntArray
    ) -> tuple[Choice, Honest | None]:
        """What suits some of the (m, D) mapped rows that the moments hold, left out in turn.

        Also their left-out logits; None where there are more classes than are compared.
        """
        if len(moments.counts) > CHOSEN_AMONG:
            return self.usual(moments, rows), None
        distinct = np.unique(first_alike(rows, labels))
        spectrum = Spectrum.of_moments(moments, rows[distinct], labels[distinct])
        candidates = MapCandidates(self.map, spectrum, METHODS, None, "none")
        parts = candidates.choose()
        return _choice(candidates, parts), candidates.honest(parts)

    def of_few(
        self, rows: Float32Array, labels: IntArray, classes: tuple[str, ...]
    ) -> tuple[LinearHead, Choice, Honest]:
        """The head of (m, D) mapped rows that are all there are, with at least one of each class.

        What `choose` and `solve` make of their moments, from m x m products instead of D x D
        ones: of 60 rows of 1,280 features in 30 ms where those take a second.
        """
        distinct = np.unique(first_alike(rows, labels))
        whole = Spectrum.of(rows, labels, len(classes))
        scored = replace(whole, rows=whole.rows[distinct], labels=labels[distinct])
        candidates = MapCandidates(self.map, scored, METHODS, None, "none")
        parts = candidates.choose()
        head = candidates.head(parts, whole, classes)
        return head, _choice(candidates, parts), candidates.honest(parts)

    def solve(
        self, moments: Moments, classes: tuple[str, ...], choice: Choice, *, precise: bool = True
    ) -> LinearHead:
        """The head of (K,) classes; if not precise, in half of the time, and good to 1e-3."""
        weights: Float32Array = np.zeros((len(moments.mean), len(classes)), np.float32)
        bias: Float64Array = np.zeros(len(classes))
        solution = _Solution(moments, precise=precise)
        for part in choice.components:
            own_weights, own_bias = solution.of(part.method, part.penalty)
            scale = choice.factor / len(choice.components)
            weights += own_weights * np.float32(part.factor * scale)
            bias += (own_bias * part.factor + _shares(moments, part.method)) * scale
        there = moments.counts > 0
        bias[~there] = bias[there].min(initial=0.0) - NOWHERE
        return LinearHead(
            weights=weights,
            bias=bias.astype(np.float32),
            classes=classes,
            map=self.map,
            novelty=None if choice.unknown is None else solution.novelty(*choice.unknown),
        )

    def usual(self, moments: Moments, rows: Float32Array) -> Choice:
        """The usual penalties, and factors that spread the scores as much as is usual.

        In a fraction of the time that `choose` takes.
        """
        rows = rows[:FEW_ROWS]
        components = []
        solution = _Solution(moments, precise=False)
        for method in METHODS:
            penalty = USUAL_PENALTY[method]
            weights, bias = solution.of(method, penalty)
            factor = FEW_SPREAD / spread_of(rows @ weights + bias)
            components.append(Component(method=method, penalty=penalty, factor=factor))
        return Choice(components=tuple(components), factor=1.0)


def _choice(candidates: MapCandidates, parts: list[Part]) -> Choice:
    threshold = candidates.novelty_threshold()
    return Choice(
        components=tuple(
            Component(method=p.method, penalty=p.penalty, factor=p.factor) for p in parts
        ),
        factor=candidates.blend_factor(parts),
        unknown=None if threshold is None else (candidates.novelty_penalty, threshold),
    )


class _Solution:
    """What each method, and the metric of the unknown, makes of moments.

    All are of the class means times (T + penalty)^-1, which is solved once a penalty; but for the
    discriminant of very many classes, whose K x K matrices would take more than S itself.
    """

    def __init__(self, moments: Moments, *, precise: bool) -> None:
        self._moments = moments
        self._precise = precise
        self._projected: dict[float, FloatArray] = {}

    def of(self, method: AnyMethod, penalty: float) -> tuple[FloatArray, Float64Array]:
        """The (D, K) weights and (K,) bias; see `ridge_of` and `discriminant_of`."""
        moments, n = self._moments, max(self._moments.n, 1)
        if method == "ridge":
            weights = self._at(penalty) * moments.counts.astype(np.float32)
            return weights, moments.counts / n - moments.mean @ weights
        means = moments.class_means - moments.mean
        if len(moments.counts) > CHOSEN_AMONG:
            weights = self._solved(moments.within, penalty) * np.float32(n)
        else:
            projected = self._at(penalty)
            products = means @ projected
            correction = correction_of(products, moments.counts) @ products
            weights = projected @ ((correction + np.eye(len(correction))) * n)
        own = np.einsum("kd,dk->k", means, weights)
        return weights, own / -2 - moments.mean @ weights

    def novelty(self, penalty: float, threshold: float) -> Novelty:
        """What tells the unknown."""
        moments = self._moments
        means = moments.class_means - moments.mean
        totals = moments.counts.astype(np.float64)
        return Novelty.of(self._at(penalty), means, moments.mean, totals, threshold)

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


def _shares(moments: Moments, method: AnyMethod) -> FloatArray:
    """(K,), added to calibrated scores: ridge knows of itself how often a class is seen."""
    shares: FloatArray = np.ones(len(moments.counts))
    if method == "lda":
        shares = np.maximum(moments.counts, 1) / max(moments.n, 1)
    logarithms: FloatArray = np.log(shares)
    return logarithms
