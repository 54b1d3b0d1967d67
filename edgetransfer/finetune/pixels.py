"""Engines without a network: images as they are, and their moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.data import Sample
from edgetransfer.engines import EngineChoice
from edgetransfer.errors import DataError
from edgetransfer.features import FeatureCache, FeatureExtractor, TrainView, cached_features
from edgetransfer.features.cached import Skip
from edgetransfer.types import Float32Array, Preprocessing, Progress

STAGE = "normalisation"
MOST_IMAGES = 4096  # for mean and deviation: their error is far below a grey level by then


class PixelEngine:
    """Hands images on: (n, 3, S, S) to (n, 3 * S * S), to be trained on in torch."""

    name = "torch"

    def __init__(self, *, batch_size: int, size: int, version: str) -> None:
        self.batch_size = batch_size
        self.input_shape = (batch_size, 3, size, size)
        self.dimension = 3 * size * size
        self.choice = EngineChoice(
            name=self.name, version=version, reason="every layer is trained, so none is frozen"
        )

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        return images.reshape(len(images), -1).copy()

    def close(self) -> None:
        """See `Engine.close`."""


class MomentEngine(PixelEngine):
    """The mean and the mean square of each channel: (n, 3, S, S) to (n, 6)."""

    name = "moments"

    def __init__(self, *, batch_size: int, size: int) -> None:
        super().__init__(batch_size=batch_size, size=size, version="1")
        self.dimension = 6

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        flat = images.reshape(len(images), 3, -1)
        moments = [flat.mean(axis=2), np.square(flat).mean(axis=2)]
        return np.concatenate(moments, axis=1).astype(np.float32)


def normalised_by(
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    *,
    cache: FeatureCache | None,
    workers: int | None,
    skip: Skip,
    progress: Progress,
) -> Preprocessing:
    """The preprocessing with the samples' own mean and deviation, over their eval views.

    At most 4,096 samples are looked at, evenly spread.

    Raises
    ------
    DataError
        If all images are of one colour, or none can be decoded.
    """
    chosen = samples[:: -(-len(samples) // MOST_IMAGES)]
    with _moments_of(preprocessing, workers) as extractor:
        table = cached_features(
            extractor, chosen, cache=cache, skip=skip, progress=progress, stage=STAGE
        )
    return _normalised(preprocessing, table.features)


def normalised_under(
    view: TrainView,
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    *,
    workers: int | None,
    skip: Skip,
    progress: Progress,
) -> Preprocessing:
    """As `normalised_by`, over one augmented view of every sample.

    "Obtained by loading the dataset once with standard data augmentations" (Iofinova et al.,
    CVPR 2022, appendix B).
    """
    rows, done = [], 0
    with _moments_of(preprocessing, workers) as extractor:
        for batch in extractor.extract(samples, train=view):
            rows.append(batch.features.copy())
            for index, reason in batch.failed:
                skip(samples[index], reason)
            done += len(batch.indices) + len(batch.failed)
            progress(STAGE, done, len(samples))
    return _normalised(preprocessing, np.concatenate(rows) if rows else np.empty((0, 6)))


def _moments_of(preprocessing: Preprocessing, workers: int | None) -> FeatureExtractor:
    raw = replace(preprocessing, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), channels="RGB")
    engine = MomentEngine(batch_size=16, size=preprocessing.size)
    return FeatureExtractor(engine, raw, workers=workers)


def _normalised(preprocessing: Preprocessing, moments: NDArray[Any]) -> Preprocessing:
    """The preprocessing by (n, 6) moments of images."""
    if not len(moments):
        raise DataError("none of the training images can be decoded")
    first, second = np.split(moments.astype(np.float64).mean(axis=0), 2)
    deviation = np.sqrt(np.maximum(second - first**2, 0))
    if deviation.min() < 1e-3:
        raise DataError(
            "the images are all of one colour in a channel, so they cannot be normalised by their "
            "own deviation: use --normalise card"
        )
    return replace(preprocessing, mean=_triple(first), std=_triple(deviation))


def _triple(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float, float]:
    red, green, blue = (round(float(v), 6) for v in values)
    return red, green, blue
