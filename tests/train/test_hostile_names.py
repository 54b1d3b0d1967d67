"""A whole training whose files have names that are not UTF-8, or not for a terminal."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata

import pytest

from edgetransfer import Classifier, LinearTraining, train_linear
from edgetransfer.errors import DataError
from edgetransfer.heads import LinearHead

NAMES = [b"kaputt_\xe4.png", b"\xff\xfe.png", b"\x1b[31m\n.png", "猫 👩‍🌾.png".encode()]


@pytest.fixture
def settings(photos, backbone, tmp_path):
    where = tmp_path / os.fsdecode(b"w\xe4rme")
    shutil.move(photos, where / "photos")
    own = where / os.fsdecode(b"netz_\xfc.onnx")
    shutil.copy(backbone, own)
    for name in NAMES:  # one that is a photo and one that is none, of each
        shutil.copy(
            where / "photos/train/red/000.png", where / "photos/train/red" / os.fsdecode(name)
        )
        (where / "photos/train/blue" / os.fsdecode(name)).write_bytes(b"no photo")
    return LinearTraining(
        backbone=str(own),
        data=where / "photos",
        out=where / "run",
        engine="onnxruntime",
        cache_dir=tmp_path / "cache",
        max_bad=0.5,
        l2=0.01,
    )


@pytest.mark.parametrize("how", [{}, {"solver": "sgd", "epochs": 2}])
def test_a_training_survives_every_name(settings, how):
    chosen = LinearTraining(**{**vars(settings), **how})
    report = train_linear(chosen)
    assert report["skipped"] == len(NAMES)
    lines = (chosen.out / "skipped.jsonl").read_text(encoding="utf-8").splitlines()
    skipped = {os.fsencode(json.loads(line)["id"]) for line in lines}
    assert skipped == {b"train/blue/" + name for name in NAMES}
    assert train_linear(chosen, resume=True) == json.loads(
        (chosen.out / "report.json").read_text(encoding="utf-8")
    )
    red = sorted((chosen.data / "train/red").iterdir())
    with Classifier.load(chosen.out, engine="onnxruntime") as classifier:
        found = classifier.predict(red, top=1)
        assert [prediction.id for prediction in found] == [str(path) for path in red]
        assert all(prediction.error is None for prediction in found)
        assert classifier.evaluate(chosen.data)["n"] == 15


def test_classes_in_other_scripts_go_through_every_file(settings):
    for old, new in (("red", "红 👩‍🌾"), ("green", unicodedata.normalize("NFD", "épinard"))):
        for split in ("train", "test"):
            (settings.data / split / old).rename(settings.data / split / new)
    report = train_linear(settings)
    names = ["blue", "épinard", "红 👩‍🌾"]
    assert (settings.out / "labels.txt").read_text(encoding="utf-8").splitlines() == names
    assert LinearHead.load(settings.out / "head.safetensors").classes == tuple(names)
    with Classifier.load(settings.out, engine="onnxruntime") as classifier:
        result = classifier.evaluate(settings.data)
    assert list(result["per_class"]) == names
    assert result["top1"] == pytest.approx(report["final"]["top1"])


def test_a_class_whose_name_cannot_be_written_is_refused_before_anything_is_done(settings):
    bad = settings.data / "train" / os.fsdecode(b"r\xf6t")
    (settings.data / "train/red").rename(bad)
    with pytest.raises(DataError, match=r"train/r\\xf6t: label .* not UTF-8; rename the folder"):
        train_linear(settings)
    assert not settings.out.exists()


def test_heads_of_earlier_versions_keep_names_that_are_refused_now(tmp_path):
    import numpy as np

    names = (os.fsdecode(b"r\xf6t"), "a\nb", "ok")
    head = LinearHead(
        weights=np.zeros((2, 3), np.float32), bias=np.zeros(3, np.float32), classes=names
    )
    head.save(tmp_path / "head.safetensors", {"backbone_name": os.fsdecode(b"n\xe4")})
    loaded = LinearHead.load(tmp_path / "head.safetensors")
    assert loaded.classes == names
    assert loaded.metadata["backbone_name"] == r"n\xe4"


def test_what_each_split_got_is_said_and_reported(photos, backbone, tmp_path, caplog):
    (photos / "train/red/notes.txt").touch()
    (photos / "train/red/.hidden.png").touch()
    shutil.copy(photos / "train/red/000.png", photos / "test/red/copy.png")
    settings = LinearTraining(
        backbone=str(backbone),
        data=photos,
        out=tmp_path / "run",
        engine="onnxruntime",
        val_fraction=0.2,
    )
    with caplog.at_level("INFO", "edgetransfer"):
        report = train_linear(settings)
    said = (
        "train: 48 photos of 3 classes; val: 12 photos of 3 classes; test: 16 photos of 3 classes"
    )
    assert said in caplog.text
    assert report["data"] == {
        "splits": {
            "train": {"photos": 48, "classes": 3},
            "val": {"photos": 12, "classes": 3},
            "test": {"photos": 16, "classes": 3},
        },
        "ignored": {".txt": 1},
        "left_out": {"hidden files and folders": 1},
        "learned_too": {"test": ["test/red/copy.png"]},
    }
