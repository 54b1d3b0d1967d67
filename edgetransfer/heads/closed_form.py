"""Heads without iterations: ridge, discriminant and their blend, over feature maps and penalties.

What is chosen among are the candidates of `MapCandidates`, on each of a few maps.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from edgetransfer.errors import UsageError
from edgetransfer.heads.candidates import MapCandidates, Method
from edgetransfer.heads.feature_maps import FeatureMap, MapName
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.selection import ClassWeights, Honest, Trial, check_rows, distinct_rows
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress


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

        def tried(mapping: FeatureMap) -> MapCandidates:
            rows = mapping(features[distinct])
            spectrum = self._decomposed(rows, labels[distinct], len(classes))
            return MapCandidates(mapping, spectrum, self.methods, self.penalty, self.class_weights)

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
                spectrum = self._decomposed(search.mapping(features), labels, len(classes))
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

    def _decomposed(self, rows: Float32Array, labels: IntArray, n_classes: int) -> Spectrum:
        weights = None
        if self.class_weights == "balanced":
            weights = 1 / np.bincount(labels, minlength=n_classes)
        return Spectrum.of(rows, labels, n_classes, weights)
