"""The floor and its parts."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgetransfer.benchmark.floor import Floor, engine_rate
from edgetransfer.engines import FakeEngine


class SleepingEngine(FakeEngine):
    """Takes 20 ms a batch."""

    def run(self, images):
        self.calls += 1
        time.sleep(0.02)
        return np.zeros((len(images), self.dimension), np.float32)


def test_the_floor_adds_the_times_of_its_parts():
    # 10 ms and 2.5 ms an image: 12.5 ms together.
    assert Floor(engine=100, decoding=400).rate == pytest.approx(80)


@pytest.mark.parametrize(("batches", "seconds", "calls"), [(5, 60, 5), (1, 60, 3), (9, 0.07, 4)])
def test_the_engine_is_timed_over_enough_calls(batches, seconds, calls):
    engine = SleepingEngine(batch_size=4, size=8)
    assert 100 < engine_rate([engine], batches=batches, seconds=seconds) <= 200
    assert engine.calls <= calls
    assert engine.calls >= 3
