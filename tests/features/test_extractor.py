"""Images to features: order, batches, failures, workers, threads, memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from edgetransfer.data import Sample
from edgetransfer.engines import FakeEngine
from edgetransfer.features import FeatureExtractor, TrainView
from edgetransfer.features.extractor import BATCHES_AHEAD
from edgetransfer.images import EvalTransform, decode_image, normalise, render
from edgetransfer.types import Float32Array, Preprocessing
from tests.images_made import encode, smooth_pixels
from tests.waiting import until

PREPROCESSING = Preprocessing(size=32, resize=36)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Twenty-three different pictures of different sizes."""
    return [
        Sample(
            id=f"{i}.png",
            source=encode(
                smooth_pixels(50 + 3 * i, 80 - 2 * i, seed=i), "JPEG" if i % 2 else "PNG"
            ),
            label=i % 3,
        )
        for i in range(23)
    ]


def extractor_of(batch_size: int = 8, workers: int | None = 2) -> FeatureExtractor:
    engine = FakeEngine(batch_size=batch_size, size=32)
    return FeatureExtractor(engine, PREPROCESSING, workers=workers)


def all_features(
    samples: Sequence[Sample],
    *,
    batch_size: int = 8,
    workers: int = 2,
    train: TrainView | None = None,
    order: np.ndarray | None = None,
) -> Float32Array:
    """Features in the order asked for."""
    with extractor_of(batch_size, workers) as extractor:
        return np.concatenate([b.features for b in extractor.extract(samples, order, train=train)])


def decoding_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("edgetransfer-decode")]


def test_rows_are_those_of_each_picture_on_its_own(samples: list[Sample]) -> None:
    features = all_features(samples)
    engine = FakeEngine(batch_size=1, size=32)
    for sample, row in zip(samples, features, strict=True):
        from PIL import Image

        image = Image.fromarray(decode_image(sample.source))
        view = EvalTransform(size=32, resize=36).view(*image.size)
        model_input = np.empty((1, 3, 32, 32), np.float32)
        normalise(render(image, view, image.size, PREPROCESSING), PREPROCESSING, model_input[0])
        np.testing.assert_array_equal(row, engine.run(model_input)[0])


def test_batches_are_full_but_the_last(samples: list[Sample]) -> None:
    with extractor_of(8) as extractor:
        batches = list(extractor.extract(samples))
    assert [len(b.indices) for b in batches] == [8, 8, 7]
    assert np.concatenate([b.indices for b in batches]).tolist() == list(range(23))
    assert [b.features.shape for b in batches] == [(8, 48), (8, 48), (7, 48)]
    assert all(b.features.dtype == np.float32 for b in batches)
    assert all(b.failed == () for b in batches)
    assert extractor.engine.calls == 3  # type: ignore[attr-defined]


def test_the_order_asked_for_is_kept(samples: list[Sample]) -> None:
    order = np.array([5, 22, 5, 0, 17], np.int64)
    straight = all_features(samples)
    np.testing.assert_array_equal(all_features(samples, order=order, batch_size=2), straight[order])


def test_nothing_asked_for_is_nothing_run(samples: list[Sample]) -> None:
    with extractor_of() as extractor:
        assert list(extractor.extract([])) == []
        assert list(extractor.extract(samples, np.array([], np.int64))) == []
        assert extractor.engine.calls == 0  # type: ignore[attr-defined]


def test_workers_have_no_influence_on_train_views(samples: list[Sample]) -> None:
    train = TrainView(seed=3, epoch=7)
    one = all_features(samples, workers=1, train=train)
    assert one.tobytes() == all_features(samples, workers=4, train=train).tobytes()


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_a_train_view_does_not_depend_on_batch_size_or_order(
    samples: list[Sample], batch_size: int
) -> None:
    train = TrainView(seed=3, epoch=7)
    expected = all_features(samples, train=train)
    order = np.random.default_rng(0).permutation(23)
    shuffled = all_features(samples, batch_size=batch_size, train=train, order=order)
    np.testing.assert_array_equal(shuffled, expected[order])


def test_each_epoch_and_seed_shows_other_views(samples: list[Sample]) -> None:
    views = [
        None,
        TrainView(seed=0, epoch=0),
        TrainView(seed=0, epoch=1),
        TrainView(seed=1, epoch=0),
    ]
    features = [all_features(samples, train=view) for view in views]
    for i in range(len(views)):
        for j in range(i):
            assert (features[i] != features[j]).any(axis=1).all()


@pytest.fixture
def some_broken(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("broken")
    changed = list(samples)
    changed[0] = replace(samples[0], source=b"no image")
    changed[9] = replace(samples[9], source=samples[9].read()[:300])
    changed[15] = replace(samples[15], source=folder / "absent.jpg")
    changed[22] = replace(samples[22], source=folder)  # a folder called like an image
    return changed


@pytest.mark.parametrize("train", [None, TrainView(seed=0, epoch=0)])
def test_failures_are_named_and_left_out(
    samples: list[Sample], some_broken: list[Sample], train: TrainView | None
) -> None:
    bad = {0, 9, 15, 22}
    with extractor_of(8) as extractor:
        batches = list(extractor.extract(some_broken, train=train))
    assert [[i for i, _ in b.failed] for b in batches] == [[0], [9, 15], [22]]
    reasons = {i: reason for b in batches for i, reason in b.failed}
    assert "No such file" in reasons[15]
    assert all(reason.strip() for reason in reasons.values())
    indices = np.concatenate([b.indices for b in batches])
    assert indices.tolist() == [i for i in range(23) if i not in bad]
    expected = all_features(samples, train=train)
    found = np.concatenate([b.features for b in batches])
    np.testing.assert_array_equal(found, expected[indices])


def test_a_batch_of_failures_alone_runs_nothing(samples: list[Sample]) -> None:
    broken = [replace(s, source=b"") for s in samples[:4]] + samples[4:6]
    with extractor_of(4) as extractor:
        batches = list(extractor.extract(broken))
    assert [len(b.failed) for b in batches] == [4, 0]
    assert batches[0].features.shape == (0, 48)
    assert extractor.engine.calls == 1  # type: ignore[attr-defined]


class Watched(Sequence[Sample]):
    """A long data set that counts how many pictures were asked for."""

    def __init__(self, sample: Sample, length: int, seconds: float = 0.0) -> None:
        self.sample, self.length, self.seconds = sample, length, seconds
        self.asked = 0
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        with self.lock:
            self.asked += 1
        time.sleep(self.seconds)
        return self.sample


def test_decoding_runs_ahead_by_a_few_batches_and_no_more(samples: list[Sample]) -> None:
    watched = Watched(samples[0], 10_000)
    with extractor_of(4) as extractor:
        batches = extractor.extract(watched)
        for taken in range(1, 4):
            next(batches)
            # It does run ahead while the engine is busy, but never further than its buffers.
            until(lambda taken=taken: watched.asked > 4 * taken)
            time.sleep(0.15)
            assert watched.asked <= 4 * (taken + BATCHES_AHEAD)
        batches.close()


def test_a_generator_closed_early_stops_decoding(samples: list[Sample]) -> None:
    watched = Watched(samples[0], 10_000, seconds=0.01)
    before = len(decoding_threads())
    extractor = extractor_of(8, workers=2)
    batches = extractor.extract(watched)
    next(batches)
    batches.close()
    asked = watched.asked
    time.sleep(0.1)
    assert watched.asked == asked
    extractor.close()
    assert len(decoding_threads()) == before


def test_an_extractor_can_be_used_again_after_an_early_close(samples: list[Sample]) -> None:
    expected = all_features(samples)
    with extractor_of(8) as extractor:
        for _ in range(20):
            batches = extractor.extract(samples[::-1])
            next(batches)
            batches.close()
            found = np.concatenate([b.features for b in extractor.extract(samples)])
            np.testing.assert_array_equal(found, expected)


def test_an_error_of_the_engine_comes_out_and_leaves_no_threads(samples: list[Sample]) -> None:
    class Failing(FakeEngine):
        def run(self, images: Float32Array) -> Float32Array:
            if self.calls == 1:
                raise RuntimeError("the engine broke")
            return super().run(images)

    before = len(decoding_threads())
    with (
        pytest.raises(RuntimeError, match="the engine broke"),
        FeatureExtractor(Failing(batch_size=4, size=32), PREPROCESSING, workers=3) as extractor,
    ):
        list(extractor.extract(samples))
    assert len(decoding_threads()) == before


def test_two_generators_of_one_extractor_do_not_disturb_each_other(samples: list[Sample]) -> None:
    expected = all_features(samples)
    with extractor_of(4) as extractor:

        def rows(reverse: bool) -> Iterator[Float32Array]:
            for batch in extractor.extract(samples[::-1] if reverse else samples):
                yield batch.features

        pairs = list(zip(rows(False), rows(True), strict=True))
    np.testing.assert_array_equal(np.concatenate([a for a, _ in pairs]), expected)
    np.testing.assert_array_equal(np.concatenate([b for _, b in pairs]), expected[::-1])


def test_the_clock_is_told_of_every_stage(samples: list[Sample]) -> None:
    with extractor_of(8) as extractor:
        list(extractor.extract(samples))
        seconds = extractor.clock.seconds
    assert seconds["decode"] > 0
    assert seconds["transform"] > 0
    assert seconds["forward"] > 0
    assert seconds["head"] == 0
