"""Whole trainings on photos of coloured noise: files, resumption, and what cannot be used."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from edgetransfer.backbones import Backbone
from edgetransfer.cli.main import main
from edgetransfer.data.sheets import load_sheets
from edgetransfer.errors import DataError, EdgeTransferError, TakenError, UsageError
from edgetransfer.pretrain import Pretraining, pretrain
from edgetransfer.pretrain.places import CHECKPOINT, report_path, twin_path, work_path
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.policies import POLICIES
from tests.photos import write_photos
from tests.pretrain.nets import batch, policy

TINY: dict[str, Any] = {
    "size": 16,
    "width": 0.25,
    "architecture": "resnet20",
    "batch_size": 12,
    "threads": 1,
    "epochs": 2,
    "tuning_images": 24,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder / "train", 12, seed=0)
    write_photos(folder / "test", 4, seed=1)
    return folder


def weights(path: Path) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}


def test_out_come_onnx_with_its_card_a_report_and_a_twin(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.onnx"
    done: list[tuple[str, int, int]] = []
    report = pretrain(
        Pretraining(data=photos, out=out, sparsity=0.8, phases="0,1,0.3,0.3,0.6", **TINY),
        progress=lambda *told: done.append(told),
    )
    written = Backbone.open(out)
    assert written.sparsity_with_classifier == pytest.approx(0.8, abs=1e-4)
    assert report["sparsity_with_classifier"] == written.sparsity_with_classifier
    card = written.card
    assert str(card.pruning).startswith("acdc (Peste et al. 2021), sparsity 0.8")
    assert f"{report['top1']:.2%} top-1 on 12 photos" in str(card.source)
    assert any(n.op_type == "BatchNormalization" for n in written.body.graph.node)
    assert json.loads(report_path(out).read_text())["sha256"] == written.sha256
    twin = Backbone.open(twin_path(out))
    assert twin.sparsity < 0.5
    assert report["twin"]["sha256"] == twin.sha256
    assert [stage for stage, *_ in done if "twin" in stage]
    assert all(0 < at <= of for _, at, of in done)
    assert [record["epoch"] for record in report["epochs"]] == [1, 2]
    assert report["epochs"][-1]["sparsity"] == pytest.approx(0.8, abs=1e-3)
    assert report["difference_from_torch"] < 1e-4
    assert not work_path(out).exists(), "nothing unfinished is left"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acdc", "cram+-multi"])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    name: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**TINY, "policy": name, "epochs": 3, "one_shot": "50", "checkpoint_seconds": 1e-9}
    if name == "acdc":
        given |= {"phases": "0,1,0.4,0.4,1"}
    whole, parts = tmp_path / "whole.onnx", tmp_path / "parts.onnx"
    pretrain(Pretraining(data=photos, out=whole, **given))
    descend, taken = Training.descend, [0]

    def interrupted(self: Training, rate: float) -> None:
        taken[0] += 1
        if taken[0] % 4 == 0:
            raise KeyboardInterrupt
        descend(self, rate)

    monkeypatch.setattr(Training, "descend", interrupted)
    for attempt in range(20):
        try:
            pretrain(Pretraining(data=photos, out=parts, **given), resume=attempt > 0)
            break
        except KeyboardInterrupt:
            continue
    assert attempt > 1
    first, second = weights(whole), weights(parts)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_a_checkpoint_of_another_training_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**TINY, "data": photos, "out": tmp_path / "net.onnx", "checkpoint_seconds": 1e-9}

    descend, taken = Training.descend, [0]

    def stopped(self: Training, rate: float) -> None:
        taken[0] += 1
        if taken[0] > 2:
            raise KeyboardInterrupt
        descend(self, rate)

    with monkeypatch.context() as patched:
        patched.setattr(Training, "descend", stopped)
        with pytest.raises(KeyboardInterrupt):
            pretrain(Pretraining(policy="gmp", **given))
    checkpoint = work_path(tmp_path / "net.onnx") / CHECKPOINT
    assert checkpoint.exists()
    for changed, said in (
        ({"policy": "rigl"}, "policy was gmp and is now rigl"),
        ({"policy": "gmp", "sparsity": 0.5}, "sparsity was"),
        ({"policy": "gmp", "seed": 3}, "seed was 0"),
    ):
        with pytest.raises(EdgeTransferError, match=said):
            pretrain(Pretraining(**{**given, **changed}), resume=True)
    with pytest.raises(TakenError, match="unfinished training; give --resume"):
        pretrain(Pretraining(policy="gmp", **given))
    checkpoint.write_bytes(b"broken")
    with pytest.raises(EdgeTransferError, match="cannot be read"):
        pretrain(Pretraining(policy="gmp", **given), resume=True)


def test_a_loss_that_is_not_finite_is_said_at_once(photos: Path, tmp_path: Path) -> None:
    given = {**TINY, "warm_up": 0, "learning_rate": 1e30}
    with pytest.raises(DataError, match=r"diverged at step .*--learning-rate"):
        pretrain(Pretraining(data=photos, out=tmp_path / "net.onnx", policy="gmp", **given))
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("name", list(POLICIES))
def test_an_option_that_a_policy_does_not_know_is_said_with_those_that_it_knows(name: str) -> None:
    known = POLICIES[name].options
    for option, value in {"rho": 0.1, "phases": "1,1,1,1,1", "rounds": 2, "block": 9}.items():
        if option not in known:
            with pytest.raises(UsageError, match=f"--{option} is no option of --policy"):
                Pretraining(data="photos", out="n.onnx", policy=name, **{option: value})


BAD: list[tuple[dict[str, Any], str]] = [
    ({"levels": "50,x", "policy": "cram+"}, "--levels"),
    ({"phases": "1,2,3"}, "five numbers"),
    ({"one_shot": "50,120"}, "--one-shot"),
    ({"pattern": "4:2"}, "--pattern"),
    ({"pattern": "2:4", "sparsity": 0.5}, "fixes"),
    ({"labels": False}, "--no-labels learns the features of --dense"),
    ({"dense": "d.onnx", "width": 0.5}, "brings its own network"),
    ({"policy": "gmp", "prune_from": 0.8, "prune_until": 0.5}, "after --prune-from"),
    ({"policy": "cram", "bits": 4, "sparsity": 0.5}, "--bits"),
    ({"momentum": 1.5}, "--momentum"),
    ({"weight_decay": -1.0}, "--weight-decay"),
]


@pytest.mark.parametrize(("given", "said"), BAD)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Pretraining(data="photos", out="n.onnx", **given)


def test_a_class_with_one_photo_is_said_before_work_begins(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 5, seed=0)
    for path in sorted((tmp_path / "photos" / "red").iterdir())[1:]:
        path.unlink()
    with pytest.raises(DataError, match="'red' has one photo"):
        pretrain(Pretraining(data=tmp_path / "photos", out=tmp_path / "n.onnx", **TINY))


@pytest.mark.slow
def test_from_a_dense_network_with_labels_and_without(photos: Path, tmp_path: Path) -> None:
    dense = tmp_path / "dense.onnx"
    pretrain(Pretraining(data=photos, out=dense, policy="dense", **TINY))
    given = {"batch_size": 12, "threads": 1, "epochs": 3, "dense": str(dense)}
    report = pretrain(
        Pretraining(data=photos, out=tmp_path / "a.onnx", policy="gmp", sparsity=0.5, **given)
    )
    written = Backbone.open(tmp_path / "a.onnx")
    assert written.card.parent == Backbone.open(dense).sha256
    assert report["prunable_sparsity"] == pytest.approx(0.5, abs=1e-3)
    unlabelled = tmp_path / "unlabelled"
    for colour in ("red", "blue"):
        shutil.copytree(photos / "train" / colour, unlabelled / colour)
    report = pretrain(
        Pretraining(
            data=unlabelled,
            out=tmp_path / "b.onnx",
            policy="gmp",
            sparsity=0.5,
            labels=False,
            **given,
        )
    )
    assert report["feature_error"] is not None
    assert "top1" not in report
    found = Backbone.open(tmp_path / "b.onnx")
    assert found.sparsity == pytest.approx(0.5, abs=1e-3)
    assert found.classifier is not None, "the classifier that reads the features is kept"


@pytest.mark.slow
def test_filters_are_cut_out_of_the_file(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.onnx"
    given = {**TINY, "width": 1.0}
    report = pretrain(Pretraining(data=photos, out=out, policy="filters", **given))
    shapes = {n: w.shape for n, w in weights(out).items() if n.endswith("conv1.weight")}
    assert shapes
    assert all(shape[0] in (8, 16, 32) for shape in shapes.values())
    assert report["difference_from_torch"] < 1e-4
    assert report["pruned_filters"] == 0


@pytest.mark.slow
def test_pruned_at_once_batchnorm_is_tuned_and_the_network_left_as_it_was(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "net.onnx"
    plain = Pretraining(data=photos, out=out, policy="dense", one_shot="50,80", **TINY)
    report = pretrain(plain)
    assert [row["sparsity"] for row in report["one_shot"]] == pytest.approx([0.5, 0.8], abs=1e-3)
    assert all({"tuned", "untuned"} <= row.keys() for row in report["one_shot"])
    bare = tmp_path / "bare.onnx"
    pretrain(Pretraining(data=photos, out=bare, policy="dense", **TINY))
    first, second = weights(out), weights(bare)
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_sheets_are_cut_into_their_tiles(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sheets = {}
    for part, rows in (("train", 3), ("val", 1)):
        (tmp_path / part).mkdir()
        for name in ("n01", "n02"):
            pixels = rng.integers(0, 256, (rows * 16, 4 * 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / part / f"{name}.png")
            sheets[part, name] = pixels
    splits = load_sheets(tmp_path, 16)
    assert splits.sizes["train"] == {"photos": 24, "classes": 2}
    assert splits.sizes["val"] == {"photos": 8, "classes": 2}
    sample = splits.train[12 + 5]
    assert sample.id == "train/n02.png#5"
    opened = np.asarray(Image.open(io.BytesIO(sample.read())))
    assert np.array_equal(opened, sheets["train", "n02"][16:32, 16:32])
    with pytest.raises(DataError, match="no whole tiles of 15"):
        load_sheets(tmp_path, 15)
    with pytest.raises(DataError, match="no such folder"):
        load_sheets(tmp_path / "none", 16)


def test_help_names_every_policy_with_its_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, record in POLICIES.items():
        assert f"{name}: {record.line}" in shown
        assert record.paper in shown


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_weights(photos: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "net.onnx", tmp_path / "whole.onnx"
    options = [
        *("--data", str(photos), "--policy", "rigl", "--size", "16", "--width", "0.25"),
        *("--architecture", "resnet20", "--batch-size", "12", "--threads", "1", "--epochs", "60"),
        *("--checkpoint-seconds", "0.05"),
    ]
    command = [sys.executable, "-m", "edgetransfer", "pretrain", *options]
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.DEVNULL)
    checkpoint = work_path(out) / CHECKPOINT
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists(), "it was killed in its midst"
    subprocess.run([*command, "--out", str(out), "--resume"], check=True)
    subprocess.run([*command, "--out", str(whole)], check=True)
    first, second = weights(whole), weights(out)
    assert all(np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.slow
def test_a_masked_step_takes_about_as_long_as_a_plain_one() -> None:
    plain, masked = policy("dense"), policy("gmp", prune_from=0.0)
    masked.before_step(masked.last)  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    spent = {"plain": [], "masked": []}
    data = batch(0, size=64)
    for _ in range(15):
        for name, one in (("plain", plain), ("masked", masked)):
            began = time.process_time()
            one.net.module.train()
            one.step(1, data)
            spent[name].append(time.process_time() - began)
    assert min(spent["masked"]) <= 1.05 * min(spent["plain"])
