"""Heads in a second: ridge, discriminant and their blend, over feature maps and penalties.

What is chosen among are the candidates of `MapCandidates`, on each of a few maps; on the best of
them softmax regression too, if that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from edgetransfer.errors import UsageError
from edgetransfer.heads.alike import first_alike
from edgetransfer.heads.candidates import MapCandidates, Method
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.memory import check_fits
from edgetransfer.heads.selection import Honest, Trial, check_rows
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import ClassWeights, MapName
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
    logistic
        Whether softmax regression is a candidate too, and part of the blend: see `EarlyLogistic`.
    class_weights
        ``none``: each sample counts alike, so that a class that is often seen is more often
        predicted. ``balanced``: each class counts alike.
    seed
        Of the random directions of the map ``relu``.
    """

    methods: tuple[Method, ...] = ("lda", "ridge")
    maps: tuple[MapName, ...] = ("power-l2", "l2")
    penalty: float | None = None
    logistic: bool = False
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

        Samples that are alike do not stand on both sides of a test (`first_alike`): what is scored
        and chosen by is the first of them, and the head is fitted to all. ``threads`` above 1 fits
        two maps, or folds, at once; it changes no bit.
        """
        from threadpoolctl import threadpool_limits

        check_rows(features, labels, len(classes))
        at_once = min(threads, len(self.maps))
        check_fits(len(features), features.shape[1], len(classes), at_once=at_once)
        mappings = [FeatureMap.made(m, features.shape[1], seed=self.seed) for m in self.maps]
        alike = first_alike(mappings[0](features), labels)
        distinct = np.unique(alike)
        progress("fitting heads", 0, len(mappings))
        apart = threads // at_once  # threads of each map

        def tried(mapping: FeatureMap) -> MapCandidates:
            rows = mapping(features[distinct])
            spectrum = self._decomposed(rows, labels[distinct], len(classes), apart)
            return MapCandidates(
                mapping, spectrum, self.methods, self.penalty, self.class_weights, threads=apart
            )

        # A decomposition gains little from a second thread, and loses much beside other work.
        with threadpool_limits(1), ThreadPoolExecutor(at_once) as pool:
            searches = list(pool.map(tried, mappings))
            choice = _Choice(searches)
            if self.logistic:
                choice.search.add_logistic(threads=threads)
                choice = _Choice(searches, choice.search)
            search, parts, place = choice.search, choice.parts, choice.place
            spectrum = search.spectrum
            if len(distinct) < len(labels):
                rows = search.mapping(features)
                spectrum = self._decomposed(rows, labels, len(classes), threads)
            progress("fitting heads", len(mappings), len(mappings))
            trials = choice.trials
            return ClosedFormResult(
                head=search.head(parts, spectrum, classes),
                chosen=trials[place],
                tried=(*trials, *(trial for s in searches for trial in s.penalties_tried)),
                honest=replace(search.honest(parts), alike=alike),
                uncalibrated=replace(
                    search.honest([replace(part, factor=1.0) for part in parts], calibrated=False),
                    alike=alike,
                ),
            )

    def _decomposed(
        self, rows: Float32Array, labels: IntArray, n_classes: int, threads: int
    ) -> Spectrum:
        weights = None
        if self.class_weights == "balanced":
            weights = 1 / np.bincount(labels, minlength=n_classes)
        return Spectrum.of(rows, labels, n_classes, weights, threads=threads)


class _Choice:
    """The best of all candidates of all maps; the usual one, unless it is clearly worse.

    The usual one is the last of a map's: of the first map, or of the one that is given.
    """

    def __init__(self, searches: Sequence[MapCandidates], of: MapCandidates | None = None) -> None:
        candidates = [(search, parts) for search in searches for parts in search.candidates]
        votes = searches[0].votes
        rights = [search.right(parts) for search, parts in candidates]
        first = searches[0] if of is None else of
        usual = max(i for i, (search, _) in enumerate(candidates) if search is first)
        self.place = usual if first.few else votes.choose(rights, usual)
        self.search, self.parts = candidates[self.place]
        self.trials = [
            search.trial(parts, votes.accuracy(right))
            for (search, parts), right in zip(candidates, rights, strict=True)
        ]
