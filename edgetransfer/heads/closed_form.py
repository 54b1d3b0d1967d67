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
from edgetransfer.heads.candidates import MapCandidates, rights_at_usual
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.memory import check_fits
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.row_moments import moments_of, with_more
from edgetransfer.heads.selection import BoolArray, Honest, Method, Trial, check_rows
from edgetransfer.heads.solution import ClosedForms, FactoredForms, SpectralForms
from edgetransfer.heads.spectrum import PRECISE, Spectrum
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import ClassWeights, MapName
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

# With fewer samples than `ENOUGH` a class roots of features may cost 3 points (a small network on
# Tiny ImageNet, one to three photos a class) where they bring one at most (EfficientNet-Lite0 on
# Caltech-101).
FEW_MAP: MapName = "l2"


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
        two maps, penalties or folds at once; it changes no bit.
        """
        from threadpoolctl import threadpool_limits

        check_rows(features, labels, len(classes))
        check_fits(len(features), features.shape[1], len(classes), at_once=min(2, len(self.maps)))
        progress("fitting heads", 0, len(self.maps))
        # A decomposition gains little from a second thread, and loses much beside other work.
        with threadpool_limits(1):
            result = _Search(self, features, labels, len(classes), threads).result(classes)
        progress("fitting heads", len(self.maps), len(self.maps))
        return result


class _Search:
    """The candidates of all maps, and the best of them.

    Where a decomposition takes long, maps beside the first are looked at by a Cholesky factor
    before, at the usual penalties: one that is no better than the first there is given up, as it
    would have to be better beyond doubt to be taken.
    """

    def __init__(
        self,
        solver: ClosedFormSolver,
        features: Float32Array,
        labels: IntArray,
        n_classes: int,
        threads: int,
    ) -> None:
        self._solver, self._threads = solver, threads
        self._features, self._labels, self._n_classes = features, labels, n_classes
        width = features.shape[1]
        first, *others = [FeatureMap.made(m, width, seed=solver.seed) for m in solver.maps]
        mapped = first(features)
        self._alike = first_alike(mapped, labels)
        self._distinct = np.unique(self._alike)
        self._moments: dict[FeatureMap, Moments] = {}
        with ThreadPoolExecutor(min(threads, 1 + len(others))) as pool:
            usual = pool.submit(self._searched, first, mapped)
            looks = [pool.submit(self._look, mapping) for mapping in others]
            self._searches = [usual.result()]
            for mapping, look in zip(others, looks, strict=True):
                rights = look.result()
                usual_map = self._searches[0]
                if rights is None or usual_map.few or usual_map.may_lose(rights):
                    self._searches.append(self._searched(mapping, mapping(features)))

    def result(self, classes: tuple[str, ...]) -> ClosedFormResult:
        """The head of the best candidate, of all samples."""
        choice = _Choice(self._searches)
        if self._solver.logistic:
            choice.search.add_logistic(self._copies(choice.search), threads=self._threads)
            choice = _Choice(self._searches, choice.search)
        search, parts, trials = choice.search, choice.parts, choice.trials
        plain = [replace(part, factor=1.0) for part in parts]
        return ClosedFormResult(
            head=search.head(parts, self._forms(search), classes),
            chosen=trials[choice.place],
            tried=(*trials, *(trial for s in self._searches for trial in s.penalties_tried)),
            honest=replace(search.honest(parts), alike=self._alike),
            uncalibrated=replace(search.honest(plain, calibrated=False), alike=self._alike),
        )

    def _searched(self, mapping: FeatureMap, mapped: Float32Array) -> MapCandidates:
        rows, labels = self._rows_of_distinct(mapped), self._labels[self._distinct]
        weights = self._weights(labels)
        if rows.shape[1] > len(rows):
            spectrum = Spectrum.of(rows, labels, self._n_classes, weights)
        else:
            moments = moments_of(rows, labels, self._n_classes, weights, threads=self._threads)
            self._moments[mapping] = moments
            spectrum = Spectrum.of_moments(moments, rows, labels, threads=self._threads)
        solver = self._solver
        return MapCandidates(
            mapping,
            spectrum,
            solver.methods,
            solver.penalty,
            solver.class_weights,
            threads=self._threads,
        )

    def _look(self, mapping: FeatureMap) -> list[BoolArray] | None:
        """What the methods get right at the usual penalties; None where that saves little."""
        n, dimension = len(self._distinct), self._features.shape[1]
        if dimension > n or n * dimension <= PRECISE:
            return None
        rows, labels = self._rows_of_distinct(mapping(self._features)), self._labels[self._distinct]
        moments = moments_of(rows, labels, self._n_classes, self._weights(labels), quick=True)
        return rights_at_usual(
            self._solver.methods,
            self._solver.penalty,
            moments,
            rows,
            labels,
            self._solver.class_weights,
        )

    def _forms(self, search: MapCandidates) -> ClosedForms:
        """What the closed forms make of all samples, also those that are alike."""
        copies, moments = self._copies(search), self._moments.get(search.mapping)
        if copies is None:
            return SpectralForms(search.spectrum) if moments is None else FactoredForms(moments)
        if moments is not None and self._solver.class_weights == "none":
            return FactoredForms(with_more(moments, *copies))
        rows, labels = search.mapping(self._features), self._labels
        weights = self._weights(labels)
        if rows.shape[1] > len(rows):
            return SpectralForms(Spectrum.of(rows, labels, self._n_classes, weights))
        return FactoredForms(
            moments_of(rows, labels, self._n_classes, weights, threads=self._threads)
        )

    def _copies(self, search: MapCandidates) -> tuple[Float32Array, IntArray] | None:
        """The (m, D) mapped rows that are alike to distinct ones, and their labels."""
        others = np.delete(np.arange(len(self._labels)), self._distinct)
        if not len(others):
            return None
        return search.mapping(self._features[others]), self._labels[others]

    def _rows_of_distinct(self, mapped: Float32Array) -> Float32Array:
        return mapped if len(self._distinct) == len(mapped) else mapped[self._distinct]

    def _weights(self, labels: IntArray) -> Float64Array | None:
        if self._solver.class_weights == "none":
            return None
        weights: Float64Array = 1 / np.bincount(labels, minlength=self._n_classes)
        return weights


class _Choice:
    """The best of all candidates of all maps; the usual one, unless it is clearly worse.

    The usual one is the last of a map's: of the first map, or of the one that is given. Of few
    samples nothing is chosen, and `FEW_MAP` is the usual one where it is among them.
    """

    def __init__(self, searches: Sequence[MapCandidates], of: MapCandidates | None = None) -> None:
        candidates = [(search, parts) for search in searches for parts in search.candidates]
        votes = searches[0].votes
        rights = [search.right(parts) for search, parts in candidates]
        first = searches[0] if of is None else of
        if first.few:
            first = next((one for one in searches if one.mapping.name == FEW_MAP), first)
        usual = max(i for i, (search, _) in enumerate(candidates) if search is first)
        self.place = usual if first.few else votes.choose(rights, usual)
        self.search, self.parts = candidates[self.place]
        self.trials = [
            search.trial(parts, votes.accuracy(right))
            for (search, parts), right in zip(candidates, rights, strict=True)
        ]
