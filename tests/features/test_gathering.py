"""Images of many askers: gathered, answered in order, and the engine kept busy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from time import sleep
from typing import Any

import numpy as np
import pytest

from edgetransfer.data import Sample
from edgetransfer.engines import FakeEngine
from edgetransfer.features import FeatureExtractor
from edgetransfer.features.gathering import BusyError, Gatherer
from edgetransfer.types import Preprocessing
from tests.stream.stream_pictures import SIDE, picture


class Held(FakeEngine):
    """Waits before each batch until it is let go, and notes how large it was."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size=batch_size, size=SIDE)
        self.go = Event()
        self.sizes: list[int] = []

    def run(self, images: Any) -> Any:
        assert self.go.wait(20)
        self.sizes.append(len(images))
        return super().run(images)


@contextmanager
def gathered(engine: Held, capacity: int = 64) -> Iterator[tuple[Gatherer[int], list[int]]]:
    answered: list[int] = []

    def answer(tickets: list[int], found: Mapping[int, Any]) -> None:
        assert all(isinstance(found[place], np.ndarray) for place in range(len(tickets)))
        answered.extend(tickets)

    extractor = FeatureExtractor(engine, Preprocessing(size=SIDE, resize=SIDE), workers=2)
    gatherer: Gatherer[int] = Gatherer(
        extractor,
        answer=answer,
        fail=lambda tickets, error: answered.extend([-1] * len(tickets)),
        gather_seconds=0.05,
        capacity=capacity,
    )
    try:
        yield gatherer, answered
    finally:
        engine.go.set()
        gatherer.close()
        extractor.close()


def submit(gatherer: Gatherer[int], first: int, n: int) -> None:
    tickets = list(range(first, first + n))
    gatherer.submit([Sample(id=str(i), source=picture(i)) for i in tickets], tickets)


@pytest.mark.parametrize(
    ("n", "batches"), [(1, [1]), (2, [2]), (7, [7]), (8, [8]), (9, [8, 1]), (16, [8, 8])]
)
def test_what_is_there_goes_together(n: int, batches: list[int]) -> None:
    engine = Held(8)
    with gathered(engine) as (gatherer, answered):
        submit(gatherer, 0, n)
        engine.go.set()
    assert answered == list(range(n))
    assert engine.sizes == batches


def test_askers_that_come_back_at_once_end_up_in_one_batch() -> None:
    """They began in two halves; each asks again as soon as it is answered."""
    engine, rounds = Held(8), 6
    with gathered(engine) as (gatherer, answered):
        submit(gatherer, 0, 4)
        while gatherer.waiting:
            sleep(0.001)
        submit(gatherer, 4, 4)  # while the first four run
        engine.go.set()

        def ask() -> None:
            asked = 8
            while asked < 8 * rounds:
                new = min(len(answered) + 8, 8 * rounds) - asked
                if new > 0:
                    submit(gatherer, asked, new)
                    asked += new
                sleep(0.001)

        again = Thread(target=ask)
        again.start()
        again.join(20)
    assert answered == list(range(8 * rounds))
    assert engine.sizes[:1] == [4]
    assert set(engine.sizes[2:-1]) == {8}


def test_more_than_may_wait_are_refused_as_a_whole() -> None:
    engine = Held(2)
    with gathered(engine, capacity=4) as (gatherer, answered):
        with pytest.raises(BusyError):
            submit(gatherer, 0, 5)
        submit(gatherer, 0, 4)
    assert answered == [0, 1, 2, 3]
