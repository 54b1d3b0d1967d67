"""A run notices that its photos are not what they were."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgetransfer import LinearTraining, train_linear
from edgetransfer.errors import RunFolderError
from edgetransfer.train.sgd_training import SGDTraining

Change = Callable[[Path], object]


def touched(photos: Path) -> None:
    os.utime(photos / "train/red/003.png", (1e9, 1e9))


def exchanged(photos: Path) -> None:
    """Another photo under the same name, as old as the one before."""
    status = (photos / "test/red/001.png").stat()
    shutil.copy(photos / "train/blue/001.png", photos / "test/red/001.png")
    os.utime(photos / "test/red/001.png", ns=(status.st_atime_ns, status.st_mtime_ns))


def all_exchanged(photos: Path) -> None:
    for path in (photos / "train/green").iterdir():
        path.write_bytes(path.read_bytes() + b" ")


def added(photos: Path) -> None:
    shutil.copy(photos / "train/red/000.png", photos / "train/red/new.png")


def removed(photos: Path) -> None:
    (photos / "train/red/000.png").unlink()


def moved(photos: Path) -> None:
    (photos / "train/red/000.png").rename(photos / "train/blue/moved.png")


def renamed(photos: Path) -> None:
    for split in ("train", "test"):
        (photos / split / "red").rename(photos / split / "rouge")


CHANGES: dict[Change, str | None] = {
    touched: r"train/red/003.png of 75 photos",
    exchanged: r"test/red/001.png of 75 photos",
    all_exchanged: r"train/green/\d+.png and 19 others of 75 photos",
    added: "came, went or were renamed",
    removed: "came, went or were renamed",
    moved: "came, went or were renamed",
    renamed: "came, went or were renamed",
    lambda _photos: None: None,
}


@pytest.fixture
def settings(linear_training: LinearTraining) -> LinearTraining:
    return linear_training


@pytest.mark.parametrize("change", CHANGES)
def test_a_finished_run_says_that_its_photos_changed(
    settings: LinearTraining, photos: Path, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    report = train_linear(settings)
    change(photos)
    with caplog.at_level("INFO", "edgetransfer"):
        again = train_linear(settings, resume=True)
    assert "finished already" in caplog.text
    said = CHANGES[change]
    if said is None:
        assert again == report
        return
    assert again["final"] == report["final"]
    assert len(again["warnings"]) == len(report["warnings"]) + 1
    assert re.search(said, again["warnings"][-1])
    assert "--overwrite" in again["warnings"][-1]


@pytest.mark.parametrize("change", [touched, exchanged, all_exchanged, added])
def test_an_unfinished_run_says_so_or_is_refused(
    settings: LinearTraining, photos: Path, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(
        settings, mode="online", solver="sgd", epochs=2, batch_size=16, checkpoint_seconds=0.0
    )
    save = SGDTraining._save

    def stopped(self: SGDTraining) -> None:
        save(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SGDTraining, "_save", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_linear(settings)
    change(photos)
    if change is added:
        with pytest.raises(RunFolderError, match="have changed since this run began"):
            train_linear(settings, resume=True)
        return
    report = train_linear(settings, resume=True)
    assert "written anew since then: it goes on with them" in report["warnings"][-1]
