"""What a benchmark refuses before it writes anything, and what ends it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgetransfer.benchmark import SyntheticFamily, run_benchmark
from edgetransfer.errors import BackboneError, DataError, RunFolderError, UsageError
from tests.benchmark.turns import Turns


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
