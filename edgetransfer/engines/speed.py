"""How fast an engine is on its own."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from edgetransfer.engines.protocol import Engine

TRIAL_SECONDS = 1.0


def images_per_second(engine: Engine, seconds: float = TRIAL_SECONDS) -> float:
    """The median speed of an engine on random batches, after one to warm up."""
    return float(engine.batch_size / np.median(batch_seconds(engine, seconds)))


def batch_seconds(engine: Engine, seconds: float = TRIAL_SECONDS) -> list[float]:
    """The time of each of some random batches, after one to warm up; at least three."""
    images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
    engine.run(images)
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = perf_counter()
        engine.run(images)
        times.append(perf_counter() - start)
    return times
