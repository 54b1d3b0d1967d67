"""Whole benchmarks on a small backbone, each turn taken in this process."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgetransfer.benchmark import SyntheticFamily, run_benchmark
from edgetransfer.errors import RunFolderError
from edgetransfer.train import LinearTraining, train_linear
from tests.benchmark.turns import Turns, without_times

KEYS = {
    *("backbone", "sparsity", "engine", "data", "seconds_per_epoch", "fraction_of_baseline"),
    *("efficiency", "stages", "top1", "mean_per_class", "accuracy_gap", "peak_memory_bytes"),
}


def test_backbones_take_turns_and_rows_hold_what_is_promised(settings):
    turns = Turns()
    report = run_benchmark(settings, measure=turns)
    dense, sparse = "small.onnx", "sparser.onnx"
    assert turns.taken == [
        ("photos", 0, 0, dense),
        ("photos", 0, 0, sparse),
        ("photos", 0, 1, sparse),
        ("photos", 0, 1, dense),
        ("photos", 1, 0, dense),
        ("photos", 1, 0, sparse),
        ("photos", 1, 1, sparse),
        ("photos", 1, 1, dense),
    ]
    baseline, row = report["rows"]
    assert set(row) >= KEYS
    assert baseline["baseline"]
    assert baseline["fraction_of_baseline"] == dict.fromkeys(("median", "low", "high", "mean"), 1.0)
    assert row["sparsity"] == 0.75
    assert row["turns"] == 4
    assert row["images"] == 60
    interval = row["fraction_of_baseline"]
    assert interval["low"] <= interval["median"] <= interval["high"]
    assert set(row["stages"]) == {"decode", "transform", "forward", "head"}
    assert sum(row["stages"].values()) == pytest.approx(row["cpu_seconds"], rel=0.2, abs=0.02)
    assert row["peak_memory_bytes"] > 2**20
    assert row["accuracy_gap"] == baseline["mean_per_class"] - row["mean_per_class"]
    assert row["ceiling"] > 0
    assert json.loads((settings.out / "report.json").read_text()) == report
    assert "<svg" in (settings.out / "report.html").read_text()


def test_accuracy_is_that_of_the_same_training(settings):
    row = run_benchmark(replace(settings, seeds=1), measure=Turns())["rows"][1]
    trained = train_linear(
        LinearTraining(
            backbone=settings.backbones[0],
            data=settings.data[0],
            out=settings.out.with_name("run"),
            mode="online",
            solver="sgd",
            epochs=2,
            batch_size=16,
            learning_rate=1.0,
            min_crop=0.5,
            threads=1,
            engine="onnxruntime",
            cache_dir=settings.cache_dir,
        )
    )
    assert row["top1"] == trained["final"]["top1"]


def test_an_interrupted_benchmark_goes_on_and_ends_the_same(settings, tmp_path):
    settings = replace(settings, seeds=1)
    whole = run_benchmark(replace(settings, out=tmp_path / "whole"), measure=Turns())
    first, second = Turns(stop_before=3), Turns()
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(settings, measure=first)
    assert not (settings.out / "report.json").exists()
    resumed = run_benchmark(settings, measure=second)
    assert len(first.taken) == 3
    assert len(second.taken) == 1
    assert without_times(resumed) == without_times(whole)
    assert not list((settings.out / "turns").glob("*.safetensors"))
    again = Turns()
    assert run_benchmark(settings, measure=again)["rows"] == resumed["rows"]
    assert again.taken == []


def test_other_settings_are_refused_until_overwritten(settings):
    settings = replace(settings, epochs=1, seeds=1)
    run_benchmark(settings, measure=Turns())
    other = replace(settings, batch_size=8)
    with pytest.raises(RunFolderError, match=r"batch_size was 16 and is now 8.*--overwrite"):
        run_benchmark(other, measure=Turns())
    turns = Turns()
    run_benchmark(other, measure=turns, overwrite=True)
    assert len(turns.taken) == 2


def test_a_backbone_that_fails_is_a_row_and_the_rest_goes_on(settings):
    turns = Turns(fails=["sparser.onnx"])
    baseline, row = run_benchmark(settings, measure=turns)["rows"]
    assert row["reason"] == "the engine aborted (SIGABRT)"
    assert row["seconds_per_epoch"] is None
    assert set(row) >= KEYS
    assert baseline["reason"] is None
    assert len(turns.taken) == 5  # it is tried once
    page = (settings.out / "report.html").read_text()
    assert "the engine aborted (SIGABRT)" in page


def test_without_its_baseline_a_backbone_has_no_fraction(settings):
    settings = replace(settings, epochs=1, seeds=1)
    _, row = run_benchmark(settings, measure=Turns(fails=["small.onnx"]))["rows"]
    assert row["seconds_per_epoch"] is not None
    assert row["fraction_of_baseline"] is None


def test_several_data_sets_give_a_mean_error_increase(settings, photos, tmp_path):
    again = tmp_path / "again" / "photos"
    again.parent.mkdir()
    again.symlink_to(photos)
    settings = replace(settings, data=(photos, again), epochs=1, seeds=1, learning_rate=1e-6)
    report = run_benchmark(settings, measure=Turns())
    assert [data["name"] for data in report["data"]] == ["photos (1)", "photos (2)"]
    (found,) = report["relative_error_increase"]
    assert found["data_sets"] == 2
    assert found["standard_error"] == 0.0


def test_an_epoch_can_be_bounded_and_photos_held_out(settings, photos):
    settings = replace(settings, data=(photos / "train",), images=32, epochs=1, seeds=1)
    report = run_benchmark(settings, measure=Turns())
    assert report["rows"][0]["images"] == 32
    (data,) = report["data"]
    assert data["n_test"] == 12  # a fifth of 20, for each of three classes
    assert data["held_out"] == 0.2


@pytest.mark.slow
def test_synthetic_weights_have_a_dense_twin_and_no_accuracy(settings):
    settings = replace(
        settings,
        baseline=None,
        backbones=(),
        synthetic=(SyntheticFamily.parse("mobilenet_v1:0.9"),),
        distributions=("uniform", "erk", "acdc"),
        epochs=1,
        seeds=1,
        images=2,
        batch_size=1,
    )
    report = run_benchmark(settings, measure=Turns())
    names = [row["backbone"] for row in report["rows"]]
    patterns = ("uniform", "erk", "acdc")
    assert names == ["mobilenet_v1-dense", *(f"mobilenet_v1-90-{name}" for name in patterns)]
    assert [row["baseline"] for row in report["rows"]] == [True, False, False, False]
    assert [row["published"] is not None for row in report["rows"]] == [False, False, False, True]
    assert report["rows"][3]["published"]["work"] == 0.18
    assert report["rows"][3]["published"]["work_reached"] == pytest.approx(0.18, abs=0.01)
    for row in report["rows"]:
        assert row["synthetic"]
        assert row["top1"] is None
        assert row["fraction_of_baseline"] is not None
    assert report["rows"][0]["sparsity"] == 0
    # Depthwise layers and the first convolution stay dense.
    assert 0.85 < report["rows"][1]["sparsity"] < 0.9


@pytest.mark.parametrize(("metric", "counts"), [("top1", "top1"), ("per-class", "mean_per_class")])
def test_the_gap_is_of_the_metric_that_counts(settings, photos, metric, counts):
    for path in sorted((photos / "test" / "red").iterdir())[1:]:
        path.unlink()  # so that the two metrics differ
    settings = replace(settings, metric=metric, seeds=1, epochs=1, learning_rate=0.001)
    report = run_benchmark(settings, measure=Turns())
    baseline, row = report["rows"]
    assert row["metric"] == counts
    assert row["accuracy_gap"] == pytest.approx(baseline[counts] - row[counts])
    assert report["data"][0]["metric"] == {"name": counts, "reason": "asked for by --metric"}


def test_a_sparse_baseline_is_remarked_on(settings, sparser, caplog):
    settings = replace(settings, baseline=str(sparser), backbones=(), epochs=1, seeds=1)
    run_benchmark(settings, measure=Turns())
    assert "sparser: the baseline is itself sparse: 75 %" in caplog.text


def test_a_dense_row_in_int8_knows_what_float32_knows(settings):
    pytest.importorskip("openvino")
    settings = replace(settings, engines=("auto",), backbones=(), seeds=1, epochs=1)
    rows = run_benchmark(settings, measure=Turns())["rows"]
    assert [row["precision"] for row in rows] == ["float32", "float32", "int8"]
    assert rows[1]["engine"] == "openvino"
    assert rows[2]["engine"] == "openvino-int8"
    assert rows[2]["top1"] == pytest.approx(rows[0]["top1"], abs=0.1)
    without = run_benchmark(
        replace(settings, peers=False, out=settings.out.with_name("alone")), measure=Turns()
    )
    assert len(without["rows"]) == 1
