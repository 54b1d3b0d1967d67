"""`evaluate` tests on new photos, unless it is asked to test on those that were trained on."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from edgetransfer import Classifier, train_linear
from edgetransfer.data import Sample
from edgetransfer.errors import DataError
from edgetransfer.train.seen_before import seen_in_training


@pytest.fixture
def settings(linear_training):
    return replace(linear_training, l2=0.01)


def evaluated(settings, data, **how):
    with Classifier.load(settings.out, engine="onnxruntime") as classifier:
        return classifier.evaluate(data, **how)


def test_the_training_photos_are_refused(settings, photos):
    train_linear(settings)
    assert evaluated(settings, photos)["n"] == 15  # its test split
    with pytest.raises(DataError, match="all 60 photos are among those that the run was trained"):
        evaluated(settings, photos / "train")
    assert evaluated(settings, photos / "train", training_photos=True)["n"] == 60


def test_what_was_held_out_is_tested_on(settings, photos, caplog):
    own = replace(settings, data=photos / "train", val_fraction=0.2)
    report = train_linear(own)
    result = evaluated(own, photos / "train")
    assert (result["n"], len(result["trained_on"])) == (12, 48)
    assert result["top1"] == pytest.approx(report["epochs"][0]["val_top1"])
    assert "48 of 60 photos are among those that the run was trained on" in caplog.text


def test_copies_under_other_names_are_found(settings, photos, tmp_path):
    train_linear(settings)
    mixed = tmp_path / "mixed"
    shutil.copytree(photos / "test", mixed)
    shutil.copy(photos / "train/red/003.png", mixed / "red/holiday.png")
    manifest = tmp_path / "mixed.csv"
    files = sorted(mixed.glob("*/*.png"))
    manifest.write_text("path,label\n" + "".join(f"{f},{f.parent.name}\n" for f in files))
    for data, name in ((mixed, "red/holiday.png"), (manifest, str(mixed / "red/holiday.png"))):
        result = evaluated(settings, data)
        assert (result["n"], result["trained_on"]) == (15, [name])


def test_a_data_set_that_is_gone_is_no_obstacle(settings, photos, caplog):
    train_linear(settings)
    shutil.rmtree(photos / "train")
    assert evaluated(settings, photos / "test")["n"] == 15
    assert "whether these photos were trained on cannot be told" in caplog.text


def test_nothing_is_said_of_the_training_set_itself(settings, photos, caplog):
    (photos / "train/red/notes.txt").touch()
    train_linear(settings)
    caplog.clear()
    evaluated(settings, photos / "test")
    assert "notes" not in caplog.text
    assert ".txt" not in caplog.text


def test_a_run_that_does_not_say_is_not_compared_with_what_lies_around(caplog):
    assert seen_in_training({}, [Sample(id="a", source=b"a")]) == {}
    assert "does not say what it was trained on" in caplog.text


def test_a_streams_photos_are_known_by_its_folder(photos):
    samples = [Sample(id=p.name, source=p.read_bytes()) for p in (photos / "test/red").iterdir()]
    config = {"stream": {}, "data": f"folder:{photos / 'test'}"}
    assert len(seen_in_training(config, samples)) == len(samples) == 5
    assert seen_in_training({"stream": {}, "data": "http:8000"}, samples) == {}
