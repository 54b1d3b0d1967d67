"""Features kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgetransfer.data import Sample
from edgetransfer.engines import FakeEngine
from edgetransfer.features import (
    FeatureCache,
    FeatureExtractor,
    FeatureTable,
    cached_features,
    default_cache_folder,
)
from edgetransfer.features.cache import content_key
from edgetransfer.types import Preprocessing
from tests.images_made import encode, smooth_pixels

PREPROCESSING = Preprocessing(size=32, resize=36)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [
        Sample(id=str(i), source=encode(smooth_pixels(40, 36, seed=i)), label=i % 2)
        for i in range(10)
    ]


def never(sample: Sample, reason: str) -> None:
    raise AssertionError(f"{sample.id}: {reason}")


def extract(
    samples: list[Sample], cache: FeatureCache | None, **options: object
) -> tuple[FeatureTable, int]:
    """The table, and how often the engine was called."""
    engine = FakeEngine(batch_size=4, size=32)
    with FeatureExtractor(engine, PREPROCESSING, workers=2) as extractor:
        options.setdefault("skip", never)
        table = cached_features(extractor, samples, cache=cache, **options)  # type: ignore[arg-type]
    return table, engine.calls


def rows(n: int, seed: int = 0) -> tuple[list[bytes], np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(32) for _ in range(n)], rng.standard_normal((n, 5)).astype(np.float32)


def test_the_second_time_the_engine_rests(samples: list[Sample], tmp_path: Path) -> None:
    plain, calls = extract(samples, None)
    assert (calls, plain.computed) == (3, 10)
    first, calls = extract(samples, FeatureCache(tmp_path, "identity", 48))
    assert (calls, first.computed) == (3, 10)
    second, calls = extract(samples, FeatureCache(tmp_path, "identity", 48))
    assert (calls, second.computed) == (0, 0)
    for table in (first, second):
        np.testing.assert_array_equal(table.features, plain.features)
        assert table.labels.tolist() == [0, 1] * 5


def test_only_what_is_new_goes_through_the_engine(samples: list[Sample], tmp_path: Path) -> None:
    extract(samples[:4], FeatureCache(tmp_path, "identity", 48))
    # The key is the file's content: names and order mean nothing.
    renamed = [replace(s, id=f"other/{s.id}", label=1) for s in samples[::-1]]
    table, calls = extract(renamed, FeatureCache(tmp_path, "identity", 48))
    assert (calls, table.computed) == (2, 6)
    np.testing.assert_array_equal(table.features, extract(renamed, None)[0].features)


def test_a_changed_file_is_extracted_again(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(samples[0].read())
    on_disk = [Sample(id="x", source=path, label=0)]
    extract(on_disk, FeatureCache(tmp_path / "c", "identity", 48))
    path.write_bytes(samples[1].read())
    table, calls = extract(on_disk, FeatureCache(tmp_path / "c", "identity", 48))
    assert calls == 1
    np.testing.assert_array_equal(table.features, extract(samples[1:2], None)[0].features)


def test_another_identity_is_another_folder(tmp_path: Path) -> None:
    one, two = FeatureCache(tmp_path, "a", 5), FeatureCache(tmp_path, "b", 5)
    keys, features = rows(3)
    one.add(keys, features)
    assert one.folder != two.folder
    assert len(FeatureCache(tmp_path, "b", 5)) == 0
    assert len(FeatureCache(tmp_path, "a", 5)) == 3
    # A broken identity must not be read as rows of another length either.
    assert len(FeatureCache(tmp_path, "a", 6)) == 0


def test_rows_read_back_bit_by_bit(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "a", 5)
    keys, features = rows(7)
    features[0, 0] = np.float32(1e-42)  # subnormal
    cache.add(keys, features)
    cache.add([], features[:0])
    again = FeatureCache(tmp_path, "a", 5)
    assert len(again) == 7
    for key, row in zip(keys, features, strict=True):
        assert again.get(key).tobytes() == row.tobytes()  # type: ignore[union-attr]
    assert again.get(bytes(32)) is None
    assert [p.suffix for p in again.folder.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "noise", "other dimension", "no keys"])
def test_a_broken_shard_is_passed_over(damage: str, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "a", 5)
    (keys, features), (more_keys, more) = rows(4), rows(3, seed=1)
    cache.add(keys, features)
    (shard,) = cache.folder.iterdir()
    cache.add(more_keys, more)
    content = shard.read_bytes()
    if damage == "truncated":
        shard.write_bytes(content[:-7])
    elif damage == "empty":
        shard.write_bytes(b"")
    elif damage == "noise":
        shard.write_bytes(np.random.default_rng(0).bytes(500))
    elif damage == "other dimension":
        save_file({"keys": np.zeros((2, 32), np.uint8), "features": np.zeros((2, 9), "f4")}, shard)
    else:
        save_file({"features": features}, shard)
    again = FeatureCache(tmp_path, "a", 5)
    assert len(again) == 3
    np.testing.assert_array_equal(again.get(more_keys[1]), more[1])
    again.add(keys, features)
    assert len(FeatureCache(tmp_path, "a", 5)) == 7


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    caches = [FeatureCache(tmp_path, "a", 5) for _ in range(4)]
    tables = [rows(20, seed=i) for i in range(4)]

    def write(i: int) -> None:
        keys, features = tables[i]
        for start in range(0, 20, 2):
            caches[i].add(keys[start : start + 2], features[start : start + 2])

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = FeatureCache(tmp_path, "a", 5)
    assert len(again) == 80
    for keys, features in tables:
        np.testing.assert_array_equal([again.get(k) for k in keys], features)


def test_a_disk_that_cannot_be_written_only_warns(
    samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = FeatureCache(tmp_path / "file", "a", 48)
    with caplog.at_level(logging.WARNING):
        table, calls = extract(samples, cache)
    assert calls == 3
    np.testing.assert_array_equal(table.features, extract(samples, None)[0].features)
    assert len(caplog.records) == 1
    assert str(cache.folder) in caplog.text


def test_a_write_that_fails_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path, "a", 5)
    keys, features = rows(2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("edgetransfer.atomic.os.replace", full)
        with pytest.raises(OSError, match="No space"):
            cache.add(keys, features)
    assert list(cache.folder.iterdir()) == []
    assert cache.get(keys[0]) is None


def test_failures_are_handed_over_and_left_out(samples: list[Sample], tmp_path: Path) -> None:
    broken = list(samples)
    broken[3] = replace(samples[3], source=b"nothing")
    broken[6] = replace(samples[6], source=tmp_path / "absent.png")
    for attempt in range(2):
        skipped: list[tuple[str, str]] = []
        table, calls = extract(
            broken,
            FeatureCache(tmp_path / "c", "a", 48),
            skip=lambda s, r, skipped=skipped: skipped.append((s.id, r)),
        )
        assert [name for name, _ in skipped] == ["3", "6"]
        assert len(table.features) == len(table.labels) == 8
        good = [s for i, s in enumerate(samples) if i not in (3, 6)]
        np.testing.assert_array_equal(table.features, extract(good, None)[0].features)
        assert table.labels.tolist() == [s.label for s in good]
        assert calls == (0 if attempt else 3)


def test_what_was_extracted_is_kept_when_a_run_is_stopped(
    samples: list[Sample], tmp_path: Path
) -> None:
    broken = [*samples[:9], replace(samples[9], source=b"nothing")]
    with pytest.raises(AssertionError, match="9: "):
        extract(broken, FeatureCache(tmp_path, "a", 48))
    # The ten are batches of 4, 4 and 2.
    assert len(FeatureCache(tmp_path, "a", 48)) == 9


def test_progress_counts_every_sample_once(samples: list[Sample], tmp_path: Path) -> None:
    extract(samples[:3], FeatureCache(tmp_path, "a", 48))
    told: list[tuple[str, int, int]] = []
    extract(
        samples,
        FeatureCache(tmp_path, "a", 48),
        progress=lambda *now: told.append(now),
        stage="features of photos",
    )
    assert told == [("features of photos", n, 10) for n in (3, 7, 10)]


def test_the_key_is_the_sha256_of_the_content() -> None:
    assert content_key(b"abc") == hashlib.sha256(b"abc").digest()


def test_the_cache_folder_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETRANSFER_CACHE", "some/where")
    assert default_cache_folder() == Path("some/where")
    monkeypatch.delenv("EDGETRANSFER_CACHE")
    assert default_cache_folder().name == "edgetransfer"


def _poisoned(folder: Path, kind: str) -> None:
    """Put something into a cache that is no shard of it."""
    from edgetransfer.sealing import sealed

    keys, features = np.zeros((2, 32), np.uint8), np.ones((2, 4), np.float32)
    features[1] = 2
    keys[1] = 1
    path = folder / "bad.safetensors"
    arrays: dict[str, np.ndarray] = {"keys": keys, "features": features}
    if kind == "pipe":
        os.mkfifo(path)
        return
    if kind == "folder":
        path.mkdir()
        return
    if kind == "dangling":
        path.symlink_to(folder / "nowhere")
        return
    if kind == "nan":
        features[:] = np.nan
    elif kind == "infinite":
        features[:, 1] = np.inf
    elif kind == "scalars":
        arrays = {"keys": np.array(3, np.uint8), "features": np.array(1, np.float32)}
    elif kind == "flat":
        arrays["features"] = features.reshape(-1)
    elif kind == "short keys":
        arrays["keys"] = keys[:, :8].copy()
    elif kind == "wide keys":
        arrays["keys"] = keys.astype(np.int64)
    elif kind == "doubles":
        arrays["features"] = features.astype(np.float64)
    elif kind == "names":
        arrays = {"key": keys, "features": features}
    elif kind == "fewer":
        arrays["keys"] = keys[:1]
    content = sealed(arrays, {"format": "edgetransfer-features-1"})
    if kind == "flipped":
        content = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(content)


POISONED = (
    *("pipe", "folder", "dangling", "nan", "infinite", "scalars", "flat", "short keys"),
    *("wide keys", "doubles", "names", "fewer", "flipped"),
)


@pytest.mark.parametrize("kind", POISONED)
def test_a_poisoned_shard_is_passed_over(kind: str, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "x", 4)
    cache.add([b"k" * 32], np.full((1, 4), 5, np.float32))
    _poisoned(cache.folder, kind)
    again = FeatureCache(tmp_path, "x", 4)
    assert len(again) == 1
    row = again.get(b"k" * 32)
    assert row is not None
    assert row.tolist() == [5, 5, 5, 5]


def test_what_a_killed_process_left_goes_after_a_day(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "x", 4)
    cache.add([b"k" * 32], np.ones((1, 4), np.float32))
    old, young = (cache.folder / f".{name}.safetensors.0123abcd.tmp" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"")
    os.utime(old, (1e9, 1e9))
    FeatureCache(tmp_path, "x", 4)
    assert not old.exists()
    assert young.exists()


def test_another_version_of_decoding_is_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, features = rows(3)
    FeatureCache(tmp_path, "a", 5).add(keys, features)
    monkeypatch.setattr("edgetransfer.features.cache.DECODING_VERSION", 10_000)
    assert len(FeatureCache(tmp_path, "a", 5)) == 0
