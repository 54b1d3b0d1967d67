"""What was learned survives failures, edits and moves; answers do not change behind one's back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgetransfer import Classifier, train_linear
from edgetransfer.errors import BackboneError, DataError, RunFolderError, UsageError
from tests.photos import write_photos


@pytest.fixture
def settings(linear_training, backbone, tmp_path):
    own = tmp_path / "net" / "net.onnx"
    own.parent.mkdir()
    shutil.copy(backbone, own)
    return replace(linear_training, backbone=str(own))


def files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_failed_overwrite_leaves_the_old_run(settings, photos):
    train_linear(settings)
    before = files(settings.out)
    for path in (photos / "train/red").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(DataError):
        train_linear(settings, overwrite=True)
    assert files(settings.out) == before


def test_overwrite_killed_before_it_learned_gives_the_old_run_back(settings, monkeypatch):
    report = train_linear(settings)
    from edgetransfer.runs import RunFolder
    from edgetransfer.train import linear_job

    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(linear_job.LinearJob, "train", killed)
        patch.setattr(RunFolder, "give_back", lambda self: None)  # as after kill -9
        with pytest.raises(KeyboardInterrupt):
            train_linear(settings, overwrite=True)
    assert not (settings.out / "head.safetensors").exists()
    assert train_linear(settings, resume=True) == report


def test_refused_run_does_not_block_the_corrected_one(settings, photos):
    for i in range(10):
        (photos / f"train/red/{i:03d}.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="--max-bad"):
        train_linear(settings)
    report = train_linear(replace(settings, max_bad=0.5))
    assert report["skipped"] == 10
    assert report["n_train"] == 50


@pytest.mark.parametrize("values", [{"l2": -1.0}, {"learning_rate": float("nan")}])
def test_senseless_solver_settings_are_refused_before_anything_is_written(settings, values):
    with pytest.raises(UsageError):
        replace(settings, **values)
    assert not settings.out.exists()


def test_predictions_do_not_follow_a_card_that_changed(settings, photos):
    train_linear(settings)
    pictures = sorted((photos / "test").glob("*/*.png"))

    def probabilities(**where):
        with Classifier.load(settings.out, engine="onnxruntime", **where) as classifier:
            return [p.probabilities for p in classifier.predict(pictures, top=3)]

    before = probabilities()
    card = settings.backbone.replace(".onnx", ".toml")
    with open(card, "w") as file:
        file.write("mean = [0.1, 0.1, 0.1]\nsize = 64\n")
    assert probabilities() == before
    moved = settings.backbone.replace("net.onnx", "moved.onnx")
    shutil.move(settings.backbone, moved)
    assert probabilities(backbone=moved) == before
    with pytest.raises(BackboneError, match="give --backbone"):
        probabilities()


def test_two_processes_write_the_same_bytes(settings, tmp_path):
    heads = []
    for out in ("a", "b", "c"):
        command = [
            *(sys.executable, "-m", "edgetransfer", "train", "--backbone", settings.backbone),
            *("--data", str(settings.data), "--out", str(tmp_path / out), "--l2", "0.01"),
            *("--engine", "onnxruntime", "--json"),
        ]
        subprocess.run(command, check=True, capture_output=True)
        heads.append((tmp_path / out / "head.safetensors").read_bytes())
    assert heads[0] == heads[1] == heads[2]


def test_finished_run_with_a_broken_head_is_not_called_finished(settings):
    train_linear(settings)
    (settings.out / "head.safetensors").write_bytes(b"torn")
    with pytest.raises(RunFolderError, match="--overwrite"):
        train_linear(settings, resume=True)


def test_broken_config_is_named_and_overwritten_on_demand(settings):
    report = train_linear(settings)
    (settings.out / "config.toml").write_text("torn = [")
    with pytest.raises(RunFolderError, match="--overwrite"):
        train_linear(settings, resume=True)
    assert train_linear(settings, overwrite=True)["final"] == report["final"]


def test_run_of_a_stream_is_not_trained_over(settings):
    settings.out.mkdir()
    (settings.out / "config.toml").write_text("[stream]\nseed = 0\n")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(RunFolderError, match="edgetransfer stream"):
            train_linear(settings, **options)
    assert (settings.out / "config.toml").read_text() == "[stream]\nseed = 0\n"


def test_one_photo_a_class_trains_with_a_stated_penalty(settings, tmp_path, caplog):
    write_photos(tmp_path / "tiny", 1, seed=0)
    with caplog.at_level("WARNING", "edgetransfer"):
        report = train_linear(
            replace(settings, data=tmp_path / "tiny", val_fraction=0.5, solver="lbfgs")
        )
    assert "none to choose l2 with" in caplog.text
    assert "no class has a second image" in caplog.text
    assert report["lbfgs"]["tried"] == []
    text = (settings.out / "report.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["n_train"] == 3


def test_images_that_are_not_used_are_mentioned(settings, photos, caplog):
    (photos / "train/red/drawing.psd").write_bytes(b"8BPS")
    shutil.copy(photos / "train/red/000.png", photos / "beside.png")
    with caplog.at_level("WARNING", "edgetransfer"):
        train_linear(settings)
    assert "ignored 1 files with ending .psd" in caplog.text
    assert "ignored 1 images beside the class folders" in caplog.text


def test_cached_features_are_counted(settings):
    first, second = (train_linear(settings, overwrite=True) for _ in range(2))
    assert first["features"] == {"computed": 75, "from_cache": 0}
    assert second["features"] == {"computed": 0, "from_cache": 75}
    assert np.isclose(first["final"]["top1"], second["final"]["top1"])
