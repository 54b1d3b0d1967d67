"""What the zeros are worth, on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetransfer.errors import UsageError
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.teach import speed
from edgetransfer.teach.speed import Speed
from tests.photos import backbone
from tests.teach.taught import Taught

__all__ = ["backbone"]


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[Taught]:
    started = Taught(tmp_path / "run")
    yield started
    started.close()


def test_both_engines_are_measured(
    backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.01)
    settings = StreamSettings(
        source="http:page", out=tmp_path, backbone=str(backbone), engine_batch=4, threads=1
    )
    measured = Speed(settings, "sparse")
    assert measured.newest is None
    found = measured.measure()
    assert measured.newest == found
    assert (found["engine"], found["dense_engine"]) == ("sparse", "onnxruntime")
    assert found["images_per_second"] > 0 < found["dense_images_per_second"]
    assert found["sparsity"] == pytest.approx(0.5, abs=0.01)
    with pytest.raises(UsageError, match="already"):
        Speed(settings, "onnxruntime").measure()


def test_one_measurement_at_a_time(tmp_path: Path) -> None:
    measured = Speed(StreamSettings(source="http:page", out=tmp_path), "sparse")
    with measured._measuring, pytest.raises(UsageError, match="being measured"):
        measured.measure()


def test_the_page_asks_for_it(taught: Taught, monkeypatch: pytest.MonkeyPatch) -> None:
    status, answer = taught.post("/speed", {})
    assert status == 409  # the backbone of this test is no file
    assert "fake" in answer["error"]
    assert taught.ask("GET", "/state")[1]["speed"] is None
    assert taught.post("/speed", {"more": 1})[0] == 400
    measured = {"engine": "sparse", "images_per_second": 2.0}
    monkeypatch.setattr(taught.room.speed, "_measured", lambda: measured)
    assert taught.post("/speed", {}) == (200, measured)
    assert taught.ask("GET", "/state")[1]["speed"] == measured
