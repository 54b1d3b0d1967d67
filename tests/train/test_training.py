"""Whole trainings: what they leave behind, and that nothing but the settings decides it."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgetransfer import Classifier, train_linear
from edgetransfer.errors import DataError, HeadError, UsageError
from edgetransfer.heads import memory
from edgetransfer.train import job_context
from tests.train.conftest import head_of, same_head

KEYS = {
    *("backbone", "engine", "mode", "solver", "n_train", "n_test", "n_classes", "epochs"),
    *("final", "stages", "skipped"),
}


@pytest.mark.parametrize(
    ("mode", "solver"),
    [("online", "sgd"), *(("cached", s) for s in ("sgd", "lbfgs", "auto", "ridge", "lda"))],
)
def test_run_folder_and_report(settings, mode, solver):
    settings = replace(settings, mode=mode, solver=solver, epochs=6)
    report = train_linear(settings)
    assert set(report) >= KEYS
    assert report["n_train"] == 60
    assert report["n_test"] == 15
    assert report["n_classes"] == 3
    assert report["backbone"]["sparsity"] == 0.5
    assert report["engine"]["name"] == "onnxruntime"
    assert set(report["stages"]) == {"decode", "transform", "forward", "head"}
    assert report["final"]["mean_per_class"] >= 0.9
    for epoch in report["epochs"]:
        assert {"epoch", "seconds", "images_per_second", "train_loss"} <= set(epoch)
    names = {p.name for p in settings.out.iterdir()}
    assert names == {
        *("config.toml", "head.safetensors", "metrics.jsonl", "labels.txt", "skipped.jsonl"),
        *("report.json", "data.json"),
    }
    assert (settings.out / "labels.txt").read_text() == "blue\ngreen\nred\n"
    assert json.loads((settings.out / "report.json").read_text()) == report
    lines = (settings.out / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == report["epochs"]


@pytest.mark.parametrize(
    ("mode", "solver"),
    [("online", "sgd"), *(("cached", s) for s in ("sgd", "lbfgs", "auto", "ridge", "lda"))],
)
def test_a_head_beyond_memory_is_refused_before_it_is_taken(settings, mode, solver, monkeypatch):
    total = namedtuple("total", "total")(1000)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: total)
    with pytest.raises(DataError, match=r"3 classes .* takes .* GiB.* fewer classes"):
        train_linear(replace(settings, mode=mode, solver=solver))
    assert not (settings.out / "head.safetensors").exists()


def test_number_of_workers_changes_nothing(settings, tmp_path):
    train_linear(replace(settings, workers=1))
    other = replace(settings, workers=4, out=tmp_path / "other")
    train_linear(other)
    assert same_head(head_of(settings), head_of(other))


def test_seed_decides(settings, tmp_path):
    train_linear(settings)
    other = replace(settings, seed=1, out=tmp_path / "other")
    train_linear(other)
    assert not same_head(head_of(settings), head_of(other))


@pytest.mark.parametrize("mode", ["online", "cached"])
def test_broken_photos_are_skipped_named_and_counted(settings, photos, mode):
    (photos / "train/red/000.png").write_bytes(b"")
    (photos / "test/blue/000.png").write_bytes(b"not an image")
    settings = replace(settings, mode=mode, epochs=8)
    report = train_linear(settings)
    assert report["skipped"] == 2
    lines = (settings.out / "skipped.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert {r["id"] for r in records} == {"train/red/000.png", "test/blue/000.png"}
    assert all(r["reason"] for r in records)
    assert report["final"]["mean_per_class"] >= 0.9


def test_too_many_broken_photos_stop_the_run(settings, photos):
    for i in range(6):
        (photos / f"train/red/{i:03d}.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="--max-bad") as raised:
        train_linear(settings)
    assert raised.value.exit_code == 3
    assert "000.png" in str(raised.value) or "red" in str(raised.value)
    assert train_linear(replace(settings, max_bad=0.2), overwrite=True)["skipped"] == 6


def test_class_that_is_broken_throughout_is_named(settings, photos):
    for path in (photos / "train/red").iterdir():
        path.write_bytes(b"broken")
    for mode, solver in (("online", "sgd"), ("cached", "lbfgs")):
        with pytest.raises(DataError, match="'red'"):
            train_linear(replace(settings, max_bad=1, mode=mode, solver=solver), overwrite=True)


def test_cached_features_are_not_computed_twice(settings):
    settings = replace(settings, mode="cached", solver="lbfgs")
    first = train_linear(settings)
    second = train_linear(settings, overwrite=True)
    assert first["stages"]["forward"] > 0
    assert second["stages"]["forward"] == 0
    assert second["final"] == first["final"]


def test_another_image_under_the_same_name_is_not_taken_from_the_cache(settings, photos):
    settings = replace(settings, mode="cached", solver="lbfgs")
    train_linear(settings)
    Image.new("RGB", (40, 48), (7, 7, 7)).save(photos / "train/red/000.png")
    assert train_linear(settings, overwrite=True)["stages"]["forward"] > 0


@pytest.mark.parametrize(
    ("mode", "solver"),
    [("online", "sgd"), ("cached", "sgd"), ("cached", "lbfgs"), ("cached", "auto")],
)
def test_standardised_head_works_on_raw_features(settings, mode, solver):
    settings = replace(settings, mode=mode, solver=solver, standardize=True, epochs=8)
    report = train_linear(settings)
    assert report["final"]["mean_per_class"] >= 0.9
    with Classifier.load(settings.out, engine="onnxruntime") as classifier:
        assert classifier.evaluate(settings.data)["mean_per_class"] == pytest.approx(
            report["final"]["mean_per_class"]
        )


def test_validation_is_held_out_and_scored_each_epoch(settings):
    report = train_linear(replace(settings, val_fraction=0.25))
    assert report["n_val"] == 15
    assert report["n_train"] == 45
    assert all(0 <= e["val_top1"] <= 1 for e in report["epochs"])


def test_divergence_is_reported_and_no_head_is_saved(settings):
    with np.errstate(all="ignore"), pytest.raises(DataError, match="diverged"):
        train_linear(replace(settings, learning_rate=1e30))
    assert not (settings.out / "head.safetensors").exists()


def test_predictions_name_the_colour(settings, photos):
    train_linear(settings)
    with Classifier.load(settings.out, engine="onnxruntime") as classifier:
        found = classifier.predict(sorted((photos / "test").glob("*/*.png")), top=2)
        assert len(found) == 15
        right = [p.classes[0] in p.id for p in found]
        assert np.mean(right) >= 0.9
        assert all(p.probabilities[0] >= p.probabilities[1] for p in found)
        data = (photos / "test/red/000.png").read_bytes()
        from_bytes, broken = classifier.predict([data, b"broken"], top=3)
        from_file = next(p for p in found if p.id.endswith("red/000.png"))
        assert from_bytes.classes[0] == from_file.classes[0]
        assert sum(from_bytes.probabilities) == pytest.approx(1, abs=1e-5)
        assert broken.error
        assert broken.classes == ()


def test_evaluation_equals_the_report(settings, photos):
    report = train_linear(settings)
    with Classifier.load(settings.out, engine="onnxruntime") as classifier:
        result = classifier.evaluate(photos)
    assert result["top1"] == report["final"]["top1"]
    assert result["mean_per_class"] == report["final"]["mean_per_class"]
    assert np.array(result["confusion"]).sum() == result["n"] == 15


def test_head_of_another_backbone_is_refused(settings, backbone, tmp_path):
    train_linear(settings)
    other = tmp_path / "other.onnx"
    other.write_bytes(backbone.read_bytes())
    with Classifier.load(settings.out, backbone=str(other), engine="onnxruntime"):
        pass  # the same bytes elsewhere are the same backbone
    import onnx

    model = onnx.load(str(backbone))
    model.producer_name = "another"
    onnx.save(model, str(other))
    with pytest.raises(HeadError, match="trained on backbone"):
        Classifier.load(settings.out, backbone=str(other), engine="onnxruntime")


@pytest.mark.parametrize("solver", ["lbfgs", "auto", "ridge", "lda"])
def test_solvers_of_all_features_are_refused_online_before_any_work(settings, solver):
    with pytest.raises(UsageError, match="--cached"):
        replace(settings, solver=solver)


@pytest.mark.parametrize(
    "values",
    [
        {"feature_map": "cube"},
        {"class_weights": "some"},
        {"penalty": 0.0},
        {"standardize": True, "feature_map": "l2"},
        {"solver": "lbfgs", "class_weights": "balanced"},
        {"solver": "sgd", "penalty": 1.0},
    ],
)
def test_settings_of_closed_forms_that_do_not_fit_are_refused(settings, values):
    usual = {"mode": "cached", "solver": "auto"}
    with pytest.raises(UsageError, match="--"):
        replace(settings, **(usual | values))


def test_report_says_how_good_the_head_is_without_test_photos(settings, photos):
    shutil.rmtree(photos / "test")
    shutil.copy(photos / "train/red/000.png", photos / "train/red/twin.png")
    report = train_linear(replace(settings, mode="cached", solver="auto"))
    honest = report["honest"]
    assert report["final"] is None
    assert honest["n"] == 60
    assert honest["not_tested"] == 1  # the twin stands on no other side
    assert honest["interval"][0] <= honest["top1"] <= honest["interval"][1]
    assert set(honest["per_class"]) == {"blue", "green", "red"}
    assert {"solver", "map", "penalties", "accuracy"} == set(report["chosen"])
    assert report["chosen"] in report["tried"]
    assert 0 <= report["calibration"]["error"] <= 1


def test_one_photo_a_class_is_enough(settings, photos):
    for folder in (photos / "train").iterdir():
        for path in sorted(folder.iterdir())[1:]:
            path.unlink()
    report = train_linear(replace(settings, mode="cached", solver="auto"))
    assert report["honest"]["n"] == 0
    assert report["final"]["mean_per_class"] >= 0.8


def test_features_that_are_not_finite_name_their_photo(settings, monkeypatch):
    """A photo whose features overflow: before any solver, and whichever it is."""
    true = job_context.cached_features

    def spoilt(extractor, samples, **options):
        table = true(extractor, samples, **options)
        if len(table.features) > 20:
            table.features[7, 3] = np.nan
        return table

    monkeypatch.setattr(job_context, "cached_features", spoilt)
    for solver in ("auto", "lbfgs", "sgd"):
        with pytest.raises(DataError, match=r"train/blue/007\.png.*not finite"):
            train_linear(replace(settings, mode="cached", solver=solver), overwrite=True)


@pytest.mark.parametrize(
    "values", [{"epochs": 0}, {"batch_size": 0}, {"max_bad": 2.0}, {"seed": -1}, {"mode": "x"}]
)
def test_senseless_settings_are_refused(settings, values):
    with pytest.raises(UsageError):
        replace(settings, **values)


def test_run_of_a_version_without_an_option_goes_on_as_by_its_default(settings):
    config = {k: v for k, v in settings.to_config().items() if v is not None}
    for name in ("class_weights", "feature_map", "penalty"):
        config.pop(name, None)
    assert settings.difference(config) is None
    config["learning_rate"] = 0.5
    assert "learning_rate" in settings.difference(config)
