"""Where an epoch's batches come from: augmented views through the engine, or a feature table."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.features import FeatureBatch, FeatureExtractor, TrainView
from edgetransfer.train.finite import check_finite
from edgetransfer.types import Float32Array, IntArray


@dataclass(frozen=True, kw_only=True)
class LearningBatch:
    """(n, D) features and (n,) labels; n may be 0 where no image of a batch could be used.

    ``failed`` holds the samples that could not be decoded, each with its reason.
    """

    features: Float32Array
    labels: IntArray
    failed: tuple[tuple[Sample, str], ...] = ()


@dataclass(frozen=True)
class Scaling:
    """Features to zero mean and unit variance: (x - mean) / std, both (D,) float32."""

    mean: Float32Array
    std: Float32Array

    @classmethod
    def of(cls, features: Float32Array) -> Scaling:
        """The scaling of (N, D) features; one that is constant is only shifted."""
        std = features.std(axis=0, dtype=np.float64)
        return cls(
            features.mean(axis=0, dtype=np.float64).astype(np.float32),
            np.where(std > 1e-6, std, 1.0).astype(np.float32),
        )

    def __call__(self, features: Float32Array) -> Float32Array:
        """Scale (n, D) features."""
        return (features - self.mean) / self.std


class EpochSource(Protocol):
    """Gives the batches of any epoch, from any batch on."""

    def order(self, epoch: int, excluded: frozenset[str]) -> IntArray:
        """The order in which an epoch visits its items, as indices."""

    def batches(self, epoch: int, order: IntArray) -> Generator[LearningBatch, None, None]:
        """The batches of an epoch, for the rest of its order."""


def shuffled(n: int, seed: int, epoch: int) -> IntArray:
    """A permutation of n items that depends on (seed, epoch) alone."""
    return np.random.default_rng((seed, epoch)).permutation(n).astype(np.int64)


class OnlineEpochs:
    """Each epoch draws new augmented views and sends them through the backbone.

    Parameters
    ----------
    batch_size
        Of learning; a multiple of the engine's. That of the engine if None.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        samples: Sequence[Sample],
        view: TrainView,
        scaling: Scaling | None = None,
        batch_size: int | None = None,
    ) -> None:
        engine_batch = extractor.engine.batch_size
        self._together, rest = divmod(batch_size or engine_batch, engine_batch)
        if rest:
            raise ValueError(f"batches of {batch_size} are no multiple of {engine_batch}")
        self._extractor = extractor
        self._samples = samples
        self._labels = np.array([s.label for s in samples], np.int64)
        self._view = view
        self._scaling = scaling

    def order(self, epoch: int, excluded: frozenset[str]) -> IntArray:
        """See `EpochSource.order`."""
        order = shuffled(len(self._samples), self._view.seed, epoch)
        if not excluded:
            return order
        usable = np.array([s.id not in excluded for s in self._samples], bool)
        kept: IntArray = order[usable[order]]
        return kept

    def batches(self, epoch: int, order: IntArray) -> Generator[LearningBatch, None, None]:
        """See `EpochSource.batches`.

        Raises
        ------
        DataError
            If the features of a photo are not finite.
        """
        view = replace(self._view, epoch=epoch)
        stream = self._extractor.extract(self._samples, order, train=view)
        try:
            while batches := list(itertools.islice(stream, self._together)):
                yield self._learning_batch(batches)
        finally:
            stream.close()

    def _learning_batch(self, batches: Sequence[FeatureBatch]) -> LearningBatch:
        features = np.concatenate([batch.features for batch in batches])
        indices = np.concatenate([batch.indices for batch in batches])
        check_finite(features, [self._samples[i] for i in indices.tolist()])
        if self._scaling is not None:
            features = self._scaling(features)
        failed = (failure for batch in batches for failure in batch.failed)
        return LearningBatch(
            features=features,
            labels=self._labels[indices],
            failed=tuple((self._samples[i], reason) for i, reason in failed),
        )


class CachedEpochs:
    """Each epoch visits the rows of one feature table in a new order.

    A batch's features are good until the next one is asked for.
    """

    def __init__(
        self, features: Float32Array, labels: IntArray, batch_size: int, seed: int
    ) -> None:
        self._features = features
        self._labels = labels
        self._batch_size = batch_size
        self._seed = seed
        self._buffer = np.empty((batch_size, features.shape[1]), np.float32)

    def order(self, epoch: int, excluded: frozenset[str]) -> IntArray:
        """See `EpochSource.order`; unusable images have no row, so nothing is left to exclude."""
        del excluded
        return shuffled(len(self._labels), self._seed, epoch)

    def batches(self, epoch: int, order: IntArray) -> Generator[LearningBatch, None, None]:
        """See `EpochSource.batches`."""
        del epoch
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            features = self._buffer[: len(rows)]
            np.take(self._features, rows, axis=0, out=features, mode="clip")
            yield LearningBatch(features=features, labels=self._labels[rows])
