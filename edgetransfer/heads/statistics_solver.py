"""Heads from statistics alone: ridge, discriminant and their blend, for samples that keep coming.

The candidates are those of a batch, and they are chosen and calibrated in the same way, on a
sample of the rows: each is scored by the head that was fitted to all samples but it, which follows
from the statistics of all and the row alone. So a head is a function of what was learned, in
whatever order, and where the rows are all there are it is the head of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgetransfer.heads.candidates import (
    FEW_SPREAD,
    USUAL_PENALTY,
    MapCandidates,
    Method,
    spread_of,
)
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.selection import Honest, distinct_rows
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
    """

    components: tuple[Component, ...]
    factor: float


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
            return self._usual(moments, rows[:FEW_ROWS]), None
        distinct = distinct_rows(rows, labels)
        spectrum = Spectrum.of_moments(moments, rows[distinct], labels[distinct])
        candidates = MapCandidates(self.map, spectrum, METHODS, None, "none")
        parts = candidates.choose()
        choice = Choice(
            components=tuple(
                Component(method=p.method, penalty=p.penalty, factor=p.factor) for p in parts
            ),
            factor=candidates.blend_factor(parts),
        )
        return choice, candidates.honest(parts)

    def solve(
        self, moments: Moments, classes: tuple[str, ...], choice: Choice, *, precise: bool = True
    ) -> LinearHead:
        """The head of (K,) classes; if not precise, in half of the time, and good to 1e-3."""
        weights: Float32Array = np.zeros((len(moments.mean), len(classes)), np.float32)
        bias: Float64Array = np.zeros(len(classes))
        for part in choice.components:
            own_weights, own_bias = _solution(moments, part, precise=precise)
            scale = choice.factor / len(choice.components)
            own_weights *= np.float32(part.factor * scale)
            weights += own_weights
            bias += (own_bias * part.factor + _shares(moments, part.method)) * scale
        there = moments.counts > 0
        bias[~there] = bias[there].min(initial=0.0) - NOWHERE
        return LinearHead(
            weights=weights, bias=bias.astype(np.float32), classes=classes, map=self.map
        )

    def _usual(self, moments: Moments, rows: Float32Array) -> Choice:
        """The usual penalties, and factors that spread the scores as much as is usual."""
        components = []
        for method in METHODS:
            part = Component(method=method, penalty=USUAL_PENALTY[method], factor=1.0)
            weights, bias = _solution(moments, part, precise=False)
            spread = spread_of(rows @ weights + bias)
            components.append(
                Component(method=method, penalty=part.penalty, factor=FEW_SPREAD / spread)
            )
        return Choice(components=tuple(components), factor=1.0)


def _solution(
    moments: Moments, part: Component, *, precise: bool
) -> tuple[Float32Array, Float64Array]:
    """The (D, K) weights and (K,) bias of a method; see `ridge_of` and `discriminant_of`."""
    ridge = part.method == "ridge"
    scatter = moments.total if ridge else moments.within
    factor = moments.factored(scatter, part.penalty, precise=precise)
    n_classes = len(moments.counts)
    weights: Float32Array = np.empty((len(moments.mean), n_classes), np.float32)
    bias: Float64Array = np.empty(n_classes)
    for block in _blocks(n_classes):
        means = moments.class_means[block] - moments.mean
        if ridge:
            solved = factor.solve(means.T * moments.counts[block])
            bias[block] = moments.counts[block] / max(moments.n, 1)
        else:
            solved = factor.solve(means.T * moments.n)
            bias[block] = np.einsum("kd,dk->k", means, solved) / -2
        bias[block] -= moments.mean @ solved
        weights[:, block] = solved
    return weights, bias


def _shares(moments: Moments, method: Method) -> FloatArray:
    """(K,), added to calibrated scores: ridge knows of itself how often a class is seen."""
    shares: FloatArray = np.ones(len(moments.counts))
    if method == "lda":
        shares = np.maximum(moments.counts, 1) / max(moments.n, 1)
    logarithms: FloatArray = np.log(shares)
    return logarithms


def _blocks(n: int) -> Iterator[slice]:
    for first in range(0, n, CLASSES_AT_ONCE):
        yield slice(first, first + CLASSES_AT_ONCE)
