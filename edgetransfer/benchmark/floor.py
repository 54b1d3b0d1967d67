"""What the parts of the pipeline do alone, and the floor that they set to the whole.

The floor is the sum of the parts, each alone on all cores: an image costs 1 / (engine's images a
second) + 1 / (decode and transform's images a second), for both keep all cores busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.engines import Engine, FakeEngine
from edgetransfer.features import FeatureExtractor, TrainView
from edgetransfer.types import Float32Array, IntArray


@dataclass(frozen=True, kw_only=True)
class Floor:
    """Images a second of the engine alone, and of decoding with augmentation alone."""

    engine: float
    decoding: float

    @property
    def rate(self) -> float:
        """Images a second of a pipeline that loses nothing."""
        return 1 / (1 / self.engine + 1 / self.decoding)


class NoEngine(FakeEngine):
    """Takes batches and gives zeros back at no cost, so that decoding is all that is left."""

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        return np.zeros((len(images), self.dimension), np.float32)


def decoder_of(extractor: FeatureExtractor) -> FeatureExtractor:
    """The same pipeline without its engine."""
    preprocessing = extractor.preprocessing
    nothing = NoEngine(batch_size=extractor.engine.batch_size, size=preprocessing.size, cells=1)
    return FeatureExtractor(
        nothing, preprocessing, workers=extractor.workers, cores=extractor.cores
    )


def engine_rate(engines: Sequence[Engine], *, batches: int, seconds: float = 2.0) -> float:
    """Images a second of engines that run beside one another, on random batches.

    Parameters
    ----------
    batches
        How many are run at most; three an engine are run in any case.
    seconds
        No batch is begun after this long.
    """
    batch = np.random.default_rng(0).standard_normal(engines[0].input_shape, np.float32)
    start = perf_counter()

    def runs(engine: Engine) -> int:
        done = 0
        while done < 3 or (done * len(engines) < batches and perf_counter() - start < seconds):
            engine.run(batch)
            done += 1
        return done * engine.batch_size

    with ThreadPoolExecutor(len(engines)) as pool:
        images = sum(pool.map(runs, engines))
    return images / (perf_counter() - start)


def pipeline_rate(
    extractor: FeatureExtractor,
    samples: Sequence[Sample],
    view: TrainView,
    order: IntArray | None = None,
) -> float:
    """Images a second of a pipeline on augmented views of samples."""
    start = perf_counter()
    for _ in extractor.extract(samples, order, train=view):
        pass
    return (len(samples) if order is None else len(order)) / (perf_counter() - start)


def decoding_rate(
    decoder: FeatureExtractor,
    samples: Sequence[Sample],
    view: TrainView,
    order: IntArray,
    *,
    seconds: float = 2.0,
) -> float:
    """Images a second of decoding with augmentation alone, over about so much time.

    Two batches to warm up tell how many images that is.
    """
    least = 2 * decoder.engine.batch_size
    rate = pipeline_rate(decoder, samples, view, order[:least])
    return pipeline_rate(decoder, samples, view, order[: max(least, int(rate * seconds))])
