"""A run that was begun when another backbone was the default goes on with that one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgetransfer.backbones.catalogue import bundled
from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.runs.begun_backbone import as_begun
from edgetransfer.settings.shared import DEFAULT_BACKBONE, FORMER_DEFAULTS
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.settings.train import LinearTraining
from edgetransfer.stream import OnlineLearner, learner, run_stream, running
from edgetransfer.train import train_linear
from tests.photos import photos
from tests.stream.stream_pictures import picture

__all__ = ["photos"]


def test_every_default_that_ever_was_still_ships() -> None:
    assert {DEFAULT_BACKBONE, *FORMER_DEFAULTS} <= set(bundled())
    assert DEFAULT_BACKBONE not in FORMER_DEFAULTS


def test_a_training_is_resumed_without_naming_it(photos: Path, tmp_path: Path) -> None:
    begun = LinearTraining(
        backbone="tinyresnet-90", data=photos, out=tmp_path / "run", solver="ridge"
    )
    first = train_linear(begun)
    assert train_linear(replace(begun, backbone=DEFAULT_BACKBONE), resume=True) == first
    with pytest.raises(EdgeTransferError, match="backbone"):
        train_linear(replace(begun, backbone="efficientnet-lite1-30"), resume=True)


def test_a_stream_goes_on_without_naming_it(tmp_path: Path) -> None:
    begun = StreamSettings(source="", out=tmp_path / "run", backbone="tinyresnet-90")
    with OnlineLearner(begun) as learner:
        learner.learn(picture(0), "red")
    with OnlineLearner(replace(begun, backbone=DEFAULT_BACKBONE)) as learner:
        assert learner.settings.backbone == "tinyresnet-90"
        assert learner.durable.learner.classes == ["red"]


@pytest.mark.parametrize(
    "config",
    [
        *(None, "backbone = 3", "no = [table", 'backbone = "mine.onnx"\n[stream]'),
        'backbone = "tinyresnet-90"\ndata = "photos"',  # no stream's
    ],
)
def test_else_the_settings_stay(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.toml").write_text(config)
    settings = StreamSettings(source="", out=tmp_path)
    assert as_begun(settings) is settings


def test_a_run_of_another_kind_is_refused_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text('backbone = "tinyresnet-90"\ndata = "photos"')
    settings = StreamSettings(source="jsonl:-", out=tmp_path)
    for room in (learner, running):
        monkeypatch.setattr(room, "open_feature_source", lambda _: pytest.fail("opened"))
    for begin in (OnlineLearner, run_stream):
        with pytest.raises(UsageError, match="a run of another kind"):
            begin(settings)
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
