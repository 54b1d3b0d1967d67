"""Several engines beside one another, and limits on cores."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from edgetransfer.data import Sample
from edgetransfer.engines import FakeEngine, available_cores
from edgetransfer.features import FeatureExtractor, TrainView, core_limit
from edgetransfer.features.core_limit import CoreLimit
from edgetransfer.types import Float32Array, Preprocessing
from tests.images_made import encode, smooth_pixels
from tests.waiting import until

PREPROCESSING = Preprocessing(size=32, resize=36)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [
        Sample(id=f"{i}", source=encode(smooth_pixels(60, 50, seed=i), "PNG")) for i in range(21)
    ]


class Slow(FakeEngine):
    """Takes longer for every other call, and counts how many calls run at a time."""

    running = most = 0
    lock = threading.Lock()

    def run(self, images: Float32Array) -> Float32Array:
        with Slow.lock:
            Slow.running += 1
            Slow.most = max(Slow.most, Slow.running)
        time.sleep(0.03 if self.calls % 2 else 0.01)
        try:
            return super().run(images)
        finally:
            with Slow.lock:
                Slow.running -= 1


def features_with(engines: list[FakeEngine], samples: list[Sample], **options: int) -> np.ndarray:
    with FeatureExtractor(
        engines[0], PREPROCESSING, streams=engines[1:], workers=2, **options
    ) as extractor:
        train = TrainView(seed=0, epoch=0)
        batches = list(extractor.extract(samples, train=train))
    assert np.concatenate([b.indices for b in batches]).tolist() == list(range(len(samples)))
    return np.concatenate([b.features for b in batches])


def test_streams_run_side_by_side_and_change_nothing(samples: list[Sample]) -> None:
    one = features_with([FakeEngine(batch_size=2, size=32)], samples)
    Slow.most = 0
    engines: list[FakeEngine] = [Slow(batch_size=2, size=32) for _ in range(3)]
    assert features_with(engines, samples).tobytes() == one.tobytes()
    assert Slow.most > 1
    assert all(engine.calls for engine in engines)


def test_the_consumer_and_the_engine_work_at_the_same_time(samples: list[Sample]) -> None:
    engine = Slow(batch_size=4, size=32)
    with FeatureExtractor(engine, PREPROCESSING, workers=2) as extractor:
        batches = extractor.extract(samples)
        next(batches)
        until(lambda: engine.calls > 1)
        batches.close()


def test_one_core_is_shared_by_decoding_and_engines(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_limit, "available_cores", lambda: 4)
    busy, most = [0], [0]
    whole = CoreLimit.cores

    class Watching(CoreLimit):
        def cores(self, count):  # type: ignore[no-untyped-def, override]
            return _watched(whole(self, count), busy, most)

    monkeypatch.setattr("edgetransfer.features.extractor.CoreLimit", Watching)
    features_with([Slow(batch_size=2, size=32)], samples, cores=1)
    assert most == [1]


def _watched(context, busy, most):  # type: ignore[no-untyped-def]
    class Both:
        def __enter__(self) -> None:
            context.__enter__()
            busy[0] += 1
            most[0] = max(most[0], busy[0])

        def __exit__(self, *error: object) -> None:
            busy[0] -= 1
            context.__exit__(*error)

    return Both()


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_a_limit_hands_out_no_more_than_there_is(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_limit, "available_cores", lambda: 8)
    limit = CoreLimit(3)
    used, most = [0], [0]
    lock = threading.Lock()

    def work() -> None:
        with limit.cores(count):
            with lock:
                used[0] += min(count, 3)
                most[0] = max(most[0], used[0])
            time.sleep(0.005)
            with lock:
                used[0] -= min(count, 3)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most[0] <= 3
    assert not any(thread.is_alive() for thread in threads)


def test_all_cores_are_no_limit() -> None:
    limit = CoreLimit(available_cores())
    with limit.cores(available_cores()), limit.cores(available_cores()):
        pass
