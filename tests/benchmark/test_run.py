"""Whole benchmarks on a small backbone, each turn taken in this process."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgetransfer.benchmark import BenchmarkSettings, SyntheticFamily, run_benchmark
from edgetransfer.benchmark.child import TurnFailedError
from edgetransfer.benchmark.turn import take_turn
from edgetransfer.errors import BackboneError, DataError, RunFolderError, UsageError
from edgetransfer.train import LinearTraining, train_linear

KEYS = {
    *("backbone", "sparsity", "engine", "data", "seconds_per_epoch", "fraction_of_baseline"),
    *("efficiency", "stages", "top1", "mean_per_class", "accuracy_gap", "peak_memory_bytes"),
}


def undisturbed(record):
    """Whatever else this machine does now."""
    quiet = {"other_load": 0.0, "contention": 0.0, "throttled": 0.0}
    return record | quiet | {"floor": record["floor"] | {"other_load": 0.0}}


class Turns:
    """Takes turns in this process, and remembers which."""

    def __init__(self, *, stop_before=None, fails=()):
        self.taken = []
        self._stop_before = stop_before
        self._fails = fails

    def __call__(self, request, progress):
        training = request.training
        if len(self.taken) == self._stop_before:
            raise KeyboardInterrupt
        name = training.backbone.rsplit("/", 1)[-1]
        self.taken.append((training.data.name, training.seed, request.epoch, name))
        if name in self._fails:
            raise TurnFailedError("the engine aborted (SIGABRT)")
        return undisturbed(take_turn(request, progress))


@pytest.fixture
def settings(backbone, sparser, photos, tmp_path):
    return BenchmarkSettings(
        baseline=str(backbone),
        backbones=(str(sparser),),
        data=(photos,),
        engines=("onnxruntime",),
        epochs=2,
        seeds=2,
        batch_size=16,
        learning_rate=1.0,
        min_crop=0.5,
        threads=1,
        retakes=0,
        profile=False,
        out=tmp_path / "bench",
        cache_dir=tmp_path / "cache",
    )


def without_times(report):
    """What two runs of one benchmark have in common."""
    kept = ("backbone", "sparsity", "engine", "data", "top1", "mean_per_class", "accuracy_gap")
    return [{key: row[key] for key in kept} for row in report["rows"]]


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


def test_bad_calls_are_refused_before_anything_is_written(settings, tmp_path):
    turns = Turns()

    def refused(error, match, **changes):
        with pytest.raises(error, match=match):
            run_benchmark(replace(settings, **changes), measure=turns)
        assert not settings.out.exists()

    refused(UsageError, "--baseline DENSE.onnx", baseline=None)
    refused(UsageError, "nothing to measure", baseline=None, backbones=())
    refused(UsageError, "--data", data=())
    refused(UsageError, "abacus", engines=("abacus",))
    refused(UsageError, "twice", engines=("onnxruntime", "onnxruntime"))
    refused(BackboneError, "gone.onnx", baseline=str(tmp_path / "gone.onnx"))
    refused(BackboneError, "gone.onnx", backbones=(str(tmp_path / "gone.onnx"),))
    refused(DataError, "no such folder", data=(tmp_path / "nowhere",))
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "a.png").write_bytes(b"")
    refused(DataError, "one folder a class", data=(flat,))
    assert turns.taken == []


@pytest.mark.parametrize("text", ["resnet50", "resnet50:", "resnet50:1.0", "resnet50:many"])
def test_a_synthetic_family_needs_sparsities(text):
    with pytest.raises(UsageError, match="--synthetic"):
        SyntheticFamily.parse(text)


def test_an_unknown_architecture_or_pattern_is_named(settings):
    odd = replace(settings, synthetic=(SyntheticFamily.parse("resnet5:0.5"),))
    with pytest.raises(UsageError, match="resnet5"):
        run_benchmark(odd)
    odd = replace(
        settings, synthetic=(SyntheticFamily.parse("resnet50:0.5"),), distributions=("plaid",)
    )
    with pytest.raises(UsageError, match="plaid"):
        run_benchmark(odd)
    assert not settings.out.exists()


def test_what_was_not_published_is_said_before_anything_is_written(settings):
    family = SyntheticFamily.parse("resnet50:0.85")
    with pytest.raises(
        UsageError, match=r"nothing is published of resnet50 at a sparsity of 0\.85"
    ):
        run_benchmark(replace(settings, synthetic=(family,), distributions=("acdc",)))
    assert not settings.out.exists()


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


def test_photos_that_were_exchanged_in_place_end_a_benchmark(settings, photos):
    settings = replace(settings, seeds=1, epochs=1)
    run_benchmark(settings, measure=Turns())
    path = photos / "train" / "red" / "003.png"
    path.write_bytes(path.read_bytes())
    with pytest.raises(RunFolderError, match="photos were written anew since it began"):
        run_benchmark(settings, measure=Turns())
    config = settings.out / "benchmark.json"
    older = json.loads(config.read_text())
    del older["photos"]  # of a version that did not keep them
    config.write_text(json.dumps(older))
    assert run_benchmark(settings, measure=Turns())["rows"]


def test_a_head_that_diverges_ends_the_benchmark(settings):
    with pytest.raises(DataError, match="lower --learning-rate"):
        run_benchmark(replace(settings, learning_rate=1e30, seeds=1), measure=Turns())


def test_a_folder_of_other_things_is_left_alone(settings):
    settings.out.mkdir()
    (settings.out / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunFolderError, match="choose another --out"):
            run_benchmark(settings, measure=Turns(), overwrite=overwrite)
    assert [path.name for path in settings.out.iterdir()] == ["thesis.txt"]


def test_broken_photos_are_counted_and_too_many_stop_it(settings, photos):
    (photos / "train" / "red" / "broken.png").write_bytes(b"nothing")
    settings = replace(settings, epochs=1, seeds=1)
    row = run_benchmark(settings, measure=Turns())["rows"][0]
    assert row["skipped"] == 1
    for i in range(8):
        (photos / "train" / "red" / f"{i:03d}.png").write_bytes(b"nothing")
    settings = replace(settings, out=settings.out.with_name("more"))
    with pytest.raises(DataError, match="max-bad"):
        run_benchmark(settings, measure=Turns())


def test_a_sparse_baseline_is_remarked_on(settings, sparser, caplog):
    settings = replace(settings, baseline=str(sparser), backbones=(), epochs=1, seeds=1)
    run_benchmark(settings, measure=Turns())
    assert "sparser: the baseline is itself sparse: 75 %" in caplog.text


@pytest.mark.parametrize(
    ("loads", "retakes", "takes", "kept"),
    [
        ([0.4], 0, 1, 0.4),
        ([0.4, 0.01, 0.0], 3, 2, 0.01),
        ([0.4, 0.2, 0.3], 2, 3, 0.2),
    ],
)
def test_a_disturbed_turn_is_taken_again(settings, loads, retakes, takes, kept):
    left = list(loads)

    def measure(request, progress):
        return take_turn(request, progress) | {"other_load": left.pop(0)}

    settings = replace(settings, backbones=(), epochs=1, seeds=1, retakes=retakes)
    (row,) = run_benchmark(settings, measure=measure)["rows"]
    assert row["other_load"] == kept
    assert len(loads) - len(left) == takes


def test_what_was_disturbed_is_measured_again_by_the_same_command(settings):
    settings = replace(settings, epochs=2, seeds=1, retakes=1)

    class Busy(Turns):
        def __call__(self, request, progress):
            record = super().__call__(request, progress)
            busy = request.epoch == 1
            return record | ({"other_load": 0.8, "contention": 0.8} if busy else {})

    first = run_benchmark(settings, measure=Busy())
    assert {"left out", "few rounds"} <= {doubt["kind"] for doubt in first["rows"][1]["doubts"]}
    again = Turns()
    second = run_benchmark(settings, measure=again)
    # The whole round, for its turns are compared; what was learned stays.
    assert [taken[2:] for taken in again.taken] == [(1, "sparser.onnx"), (1, "small.onnx")]
    assert without_times(second) == without_times(first)
    assert "left out" not in {doubt["kind"] for doubt in second["rows"][1]["doubts"]}
    quiet = Turns()
    run_benchmark(settings, measure=quiet)
    assert quiet.taken == []


def test_under_load_no_speedup_is_told_anywhere(settings):
    class Busy(Turns):
        def __call__(self, request, progress):
            return super().__call__(request, progress) | {"other_load": 0.8, "contention": 0.8}

    report = run_benchmark(replace(settings, seeds=1), measure=Busy())
    row = report["rows"][1]
    assert row["seconds_per_epoch"] is not None
    for name in ("speedup", "speedup_interval", "fraction_of_baseline", "efficiency", "ceiling"):
        assert row[name] is None
    page = (settings.out / "report.html").read_text()
    assert "withheld" in page
    assert "no speedup can be told" in page
    assert "×" not in page.split("<table>")[1].split("</table>")[0]
    assert "no speedup can be told" in (settings.out / "table.tex").read_text()


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
