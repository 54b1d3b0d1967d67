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
    MapCandidates,
    Part,
    spread_of,
)
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.selection import Honest, Method
from edgetransfer.heads.solution import FactoredForms, SpectralForms
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.types import Float32Array, IntArray

METHODS: tuple[Method, ...] = ("lda", "ridge")
CHOSEN_AMONG = 1024  # classes at most for which heads are compared: it takes K x K matrices
FEW_ROWS = 256  # that show how far the scores of more classes are apart
NOWHERE = 100.0  # below the least bias: of a class that has lost all of its samples


@dataclass(frozen=True, kw_only=True)
class Component:
    """One method in a head: its penalty, and the factor that its scores are multiplied by."""

    method: Method
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
        head = candidates.head(parts, SpectralForms(whole), classes)
        return head, _choice(candidates, parts), candidates.honest(parts)

    def solve(
        self, moments: Moments, classes: tuple[str, ...], choice: Choice, *, precise: bool = True
    ) -> LinearHead:
        """The head of (K,) classes; if not precise, in half of the time, and good to 1e-3."""
        weights: Float32Array = np.zeros((len(moments.mean), len(classes)), np.float32)
        bias: Float64Array = np.zeros(len(classes))
        solution = FactoredForms(moments, precise=precise)
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
        solution = FactoredForms(moments, precise=False)
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
            Component(method=p.method, penalty=p.penalty, factor=p.factor)
            for p in parts
            if p.method != "logistic"  # which needs rows
        ),
        factor=candidates.blend_factor(parts),
        unknown=None if threshold is None else (candidates.novelty_penalty, threshold),
    )


def _shares(moments: Moments, method: Method) -> FloatArray:
    """(K,), added to calibrated scores: ridge knows of itself how often a class is seen."""
    shares: FloatArray = np.ones(len(moments.counts))
    if method == "lda":
        shares = np.maximum(moments.counts, 1) / max(moments.n, 1)
    logarithms: FloatArray = np.log(shares)
    return logarithms
