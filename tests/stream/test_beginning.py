"""A stream from a `train` run: as if the run's photos had arrived first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from edgetransfer import Classifier, extract_features, train_linear
from edgetransfer.errors import DataError, RunFolderError, UsageError
from edgetransfer.features.extractor import FeatureExtractor
from edgetransfer.stream import (
    KeepingSettings,
    LearningSettings,
    StreamSettings,
    beginning,
    check,
    forget,
    relabel,
    run_stream,
)
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.learner import OnlineLearner
from edgetransfer.stream.learning.offers import Offer
from edgetransfer.train.opened_run import open_run
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


@pytest.fixture
def trained(photos: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))
    train_linear(
        backbone=str(backbone),
        data=str(photos),
        out=str(tmp_path / "trained"),
        cache_dir=str(tmp_path / "cache"),
        engine="onnxruntime",
        threads=1,
        solver="ridge",
        normalisation="half",
        report=False,
    )
    return tmp_path / "trained"


def settings_for(out: Path, source: Path, **others: Any) -> StreamSettings:
    source.mkdir(exist_ok=True)
    return StreamSettings(
        source=f"folder:{source}",
        once=True,
        out=out,
        engine="onnxruntime",
        threads=1,
        keeping=KeepingSettings(checkpoint_seconds=1e9),
        **others,
    )


def sums(run: Path) -> dict[str, bytes]:
    """What was learned, by class, whatever the order that they were born in."""
    newest = CheckpointFolder(run / "checkpoints").newest()
    assert newest is not None
    state, classes = newest.state, newest.state.values["classes"]
    order = np.argsort(classes)
    arrays = state.arrays
    return {
        "counts": arrays["statistics.counts"][order].tobytes(),
        "sums": arrays["statistics.sums"][:, order].tobytes(),
        "gram": arrays["statistics.gram"].tobytes(),
    }


def test_it_is_as_if_its_photos_had_streamed(
    trained: Path, photos: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_self: object, _samples: object, missing: np.ndarray) -> Iterator[None]:
        assert not len(missing), "its features are in the cache"
        yield from ()

    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractor, "extract", nothing)
        report = run_stream(settings_for(tmp_path / "on", tmp_path / "none", from_run=trained))
    assert report["accepted"] == 60
    plain = settings_for(
        tmp_path / "streamed",
        photos / "train",
        backbone=str(backbone),
        normalisation="half",
    )
    run_stream(plain)
    assert sums(tmp_path / "on") == sums(tmp_path / "streamed")
    heads = [open_run(tmp_path / name).head for name in ("on", "streamed")]
    rows = np.random.default_rng(0).random((20, 8)).astype(np.float32)
    ours, theirs = (head.predict_proba(rows)[:, np.argsort(head.classes)] for head in heads)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # And it goes on: what came before is known, and can be corrected by its id.
    again = run_stream(settings_for(tmp_path / "on", photos / "test", from_run=trained))
    assert again["accepted"] == 75
    assert relabel(tmp_path / "on", ["train/red/000.png"], "blue")["changed"] == 1
    forget(tmp_path / "on", ids=frozenset(["train/red/001.png"]), classes=frozenset())
    assert check(tmp_path / "on").findings == ()


def test_a_run_that_learned_from_tables(trained: Path, photos: Path, tmp_path: Path) -> None:
    """The same sums as from the photos; stopped midway, too; by ids that can be forgotten."""
    pytest.importorskip("pyarrow")
    run_stream(settings_for(tmp_path / "of-photos", tmp_path / "in", from_run=trained))
    config = open_run(trained).settings
    assert config is not None
    tables = tmp_path / "tables"
    extract_features(
        data=photos,
        out=tables,
        backbone=config.backbone,
        normalisation="half",
        engine="onnxruntime",
        rows=16,
    )
    train_linear(data=tables, out=tmp_path / "by-tables", normalisation="half")
    stop = Event()
    seen = []

    def stopped_midway(learner: OnlineLearner, offers: list[Offer], event: Event) -> None:
        accept(learner, offers, event)
        seen.append(len(offers))
        if len(seen) == 2:
            stop.set()

    accept = beginning._accept
    begun = settings_for(tmp_path / "of-tables", tmp_path / "in", from_run=tmp_path / "by-tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beginning, "_accept", stopped_midway)
        assert run_stream(begun, stop=stop)["accepted"] == sum(seen) < 60
    assert run_stream(begun)["accepted"] == 60
    assert sums(tmp_path / "of-tables") == sums(tmp_path / "of-photos")
    with pytest.raises(UsageError, match="--views"):
        run_stream(
            settings_for(
                tmp_path / "viewed",
                tmp_path / "in",
                from_run=tmp_path / "by-tables",
                learning=LearningSettings(views=1),
            )
        )
    shutil.rmtree(tables)
    assert run_stream(begun)["accepted"] == 60  # all of them are in its journal


def test_what_it_began_with_is_no_test_of_it(trained: Path, photos: Path, tmp_path: Path) -> None:
    run_stream(settings_for(tmp_path / "on", tmp_path / "none", from_run=trained))
    with (
        Classifier.load(tmp_path / "on", engine="onnxruntime") as classifier,
        pytest.raises(DataError, match="all 60 photos are among those"),
    ):
        classifier.evaluate(photos / "train")


@pytest.mark.parametrize("views", [0, 2])
def test_a_start_that_was_stopped_goes_on(
    views: int, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning = LearningSettings(views=views)
    monkeypatch.setattr(beginning, "AT_ONCE", 7)
    whole = settings_for(tmp_path / "on", tmp_path / "none", from_run=trained, learning=learning)
    run_stream(whole)
    stop = Event()

    accept, calls = beginning._accept, []

    def counted(*given: Any) -> None:
        accept(*given)
        calls.append(given)
        if len(calls) == 3:
            stop.set()

    monkeypatch.setattr(beginning, "_accept", counted)
    parts = settings_for(tmp_path / "parts", tmp_path / "none", from_run=trained, learning=learning)
    assert run_stream(parts, stop=stop)["accepted"] == 21
    assert run_stream(parts)["accepted"] == 60
    assert sums(tmp_path / "parts") == sums(tmp_path / "on")


def test_what_cannot_be_begun_from_is_said(
    trained: Path, photos: Path, backbone: Path, tmp_path: Path
) -> None:
    on = settings_for(tmp_path / "on", tmp_path / "none", from_run=trained)
    other = settings_for(
        tmp_path / "new", tmp_path / "none", from_run=trained, backbone=str(backbone), size=20
    )
    with pytest.raises(UsageError, match="another preprocessing"):
        run_stream(other)
    with pytest.raises(UsageError, match="another backbone"):
        run_stream(settings_for(tmp_path / "new", tmp_path / "none", from_run=trained, size=48))
    assert not (tmp_path / "new").exists()
    run_stream(on)
    with pytest.raises(RunFolderError, match="go on with it by --out"):
        run_stream(settings_for(tmp_path / "b", tmp_path / "none", from_run=tmp_path / "on"))
    with pytest.raises(RunFolderError):
        run_stream(settings_for(tmp_path / "b", tmp_path / "none", from_run=tmp_path / "no"))
    shutil.rmtree(photos / "train")
    with pytest.raises(DataError):
        run_stream(settings_for(tmp_path / "b", tmp_path / "none", from_run=trained))
    assert run_stream(on)["accepted"] == 60  # what was learned stays
