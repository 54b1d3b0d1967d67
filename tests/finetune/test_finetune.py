"""Whole finetunings: what they leave behind, and that nothing but the settings decides it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest

from edgetransfer import Classifier, LinearTraining, train_linear
from edgetransfer.backbones import Backbone
from edgetransfer.errors import (
    BackboneError,
    DataError,
    EdgeTransferError,
    RunFolderError,
    UsageError,
)
from edgetransfer.finetune import FinetuneSettings, finetune
from edgetransfer.finetune.masks import count_zeros
from edgetransfer.heads import LinearHead
from edgetransfer.train.finished_run import page_anew
from edgetransfer.train.sgd_training import SGDTraining
from tests.graphs_made import Net, tiny


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> LinearTraining:
    made = tiny(sparsity=0.6, head="none", size=32)
    (tmp_path / "net").mkdir()
    return LinearTraining(
        report=False,
        backbone=str(made.save(tmp_path / "net" / "net.onnx")),
        data=photos,
        out=tmp_path / "run",
        epochs=3,
        batch_size=16,
        learning_rate=0.02,
        engine="onnxruntime",
        threads=1,
        cache_dir=tmp_path / "cache",
        size=32,
        resize=36,
    )


OWN = FinetuneSettings(baseline=False, precision="float32")


def state_of(run: Path) -> tuple[bytes, bytes]:
    return (run / "backbone.onnx").read_bytes(), (run / "head.safetensors").read_bytes()


def test_run_folder_report_and_predictions(settings: LinearTraining, photos: Path) -> None:
    linear = train_linear(replace(settings, out=settings.out.with_name("linear")))
    own = FinetuneSettings(head_init="linear", keep="finetuned")
    report = finetune(replace(settings, report=True), own)
    of_linear_heads_alone = {"lbfgs", "tried", "chosen", "honest", "calibration"}
    assert set(linear) - of_linear_heads_alone <= set(report)
    assert report["final"]["mean_per_class"] >= 0.9
    assert report["masked"]["before"] == report["masked"]["after"] > 0
    assert report["linear"]["mean_per_class"] > 0.8
    assert report["exported"]["difference_from_torch"] <= 1e-3
    assert len(report["epochs"]) == 3
    assert json.loads((settings.out / "report.json").read_text()) == report
    assert {p.name for p in settings.out.iterdir()} == {
        *("config.toml", "head.safetensors", "metrics.jsonl", "labels.txt", "skipped.jsonl"),
        *("report.json", "report.html", "backbone.onnx", "backbone.toml", "data.json"),
    }
    parent, exported = (
        Backbone.open(settings.backbone, size=32),
        Backbone.open(settings.out / "backbone.onnx"),
    )
    assert exported.card.parent == parent.sha256
    assert exported.warnings == ()
    assert count_zeros(exported.body) == count_zeros(parent.body)
    assert all(n.op_type != "BatchNormalization" for n in exported.body.graph.node)
    with Classifier.load(settings.out, engine="onnxruntime", threads=1) as classifier:
        (prediction,) = classifier.predict([photos / "test/red/000.png"], top=1)
        result = classifier.evaluate(photos / "test")
    assert prediction.classes == ("red",)
    assert result["top1"] == report["final"]["top1"]
    page = (settings.out / "report.html").read_bytes()
    assert f"{100 * result['top1']:.1f}&#8239;%".encode() in page
    page_anew(settings.out)
    assert (settings.out / "report.html").read_bytes() == page


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_interrupted_and_resumed_ends_bit_for_bit_like_uninterrupted(
    settings: LinearTraining, monkeypatch: pytest.MonkeyPatch, optimizer: Literal["sgd", "adam"]
) -> None:
    settings = replace(settings, checkpoint_seconds=0.0)
    own = replace(
        OWN,
        mixup=0.2,
        label_smoothing=0.1,
        batchnorm="restore",
        optimizer=optimizer,
        refit_head=optimizer == "adam",
    )
    finetune(replace(settings, out=settings.out.with_name("whole")), own)
    saves = 0
    save = SGDTraining._save

    def interrupted(self: SGDTraining) -> None:
        nonlocal saves
        save(self)
        saves += 1
        if saves == 6:  # in the middle of the second epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SGDTraining, "_save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finetune(settings, own)
    assert (settings.out / "checkpoint.safetensors").exists()
    with pytest.raises(UsageError, match=r"mixup was 0\.2 and is now 0"):
        finetune(settings, replace(own, mixup=0.0), resume=True)
    with pytest.raises(RunFolderError, match="edgetransfer finetune --resume"):
        train_linear(settings, resume=True)
    finetune(settings, own, resume=True)
    assert state_of(settings.out) == state_of(settings.out.with_name("whole"))
    assert finetune(settings, own, resume=True) == json.loads(
        (settings.out / "report.json").read_text()
    )


def test_number_of_workers_changes_nothing(settings: LinearTraining) -> None:
    runs = []
    for workers in (1, 3):
        out = settings.out.with_name(f"workers{workers}")
        finetune(replace(settings, out=out, workers=workers, epochs=1), OWN)
        runs.append(state_of(out))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("cached", [False, True])
def test_frozen_layers_keep_their_weights(settings: LinearTraining, cached: bool) -> None:
    before = Backbone.open(settings.backbone, size=32)
    layers = [n.input[1] for n in before.body.graph.node if n.op_type == "Conv"]
    own = replace(OWN, from_layer=layers[1], cached_frozen=cached)
    report = finetune(settings, own)
    assert report["trained"]["from"] == layers[1]
    assert report["trained"]["frozen_engine"]["name"] == "onnxruntime"
    assert report["mode"] == ("cached" if cached else "online")
    after = Backbone.open(settings.out / "backbone.onnx")
    convolutions = [n for n in after.body.graph.node if n.op_type == "Conv"]
    weights = {t.name: t for t in after.body.graph.initializer}
    old = {t.name: t for t in before.body.graph.initializer}
    assert weights[convolutions[2].input[1]] != old[layers[2]]
    assert report["exported"]["difference_from_torch"] <= 1e-3


@pytest.mark.parametrize("only", ["bias", "batchnorm", "last-block"])
def test_only_some_parameters(settings: LinearTraining, only: str) -> None:
    report = finetune(replace(settings, epochs=1), replace(OWN, only=only))
    everything = finetune(replace(settings, epochs=1, out=settings.out.with_name("all")), OWN)
    assert report["trained"]["parameters"] < everything["trained"]["parameters"]


def test_layer_decay_slows_early_layers(settings: LinearTraining) -> None:
    from edgetransfer.finetune.module import OnnxModule
    from edgetransfer.finetune.plan import layer_rates

    module = OnnxModule(Backbone.open(settings.backbone, size=32).frozen(2))
    rates = layer_rates(module, 0.5)
    by_layer = [rate for name, rate in rates.items() if module.roles[name] == "weight"]
    assert by_layer == [0.125, 0.25, 0.5]
    finetune(replace(settings, epochs=1), replace(OWN, layer_decay=0.5))


def test_teachers(settings: LinearTraining, tmp_path: Path) -> None:
    teacher = tiny(seed=3, size=32, head="none").save(tmp_path / "features.onnx")
    report = finetune(replace(settings, epochs=1), replace(OWN, teacher=str(teacher)))
    assert report["final"]["top1"] > 0
    answers = tiny(seed=3, size=32, classes=3).save(tmp_path / "classes.onnx")
    finetune(
        replace(settings, epochs=1, out=tmp_path / "second"), replace(OWN, teacher=str(answers))
    )
    other = tiny(seed=3, size=32, width=6, head="none").save(tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="no output for each of the 3 classes"):
        finetune(replace(settings, out=tmp_path / "third"), replace(OWN, teacher=str(other)))


def test_mask_of_another_backbone(settings: LinearTraining, tmp_path: Path) -> None:
    sparser = tiny(sparsity=0.9, head="none", size=32, seed=5).save(tmp_path / "mask.onnx")
    report = finetune(replace(settings, epochs=1), replace(OWN, mask=str(sparser)))
    zeros = count_zeros(Backbone.open(sparser, size=32).body)
    assert report["masked"] == {"before": zeros, "after": zeros}


def test_data_normalisation_is_the_images_own_and_stands_on_the_card(
    settings: LinearTraining,
) -> None:
    report = finetune(replace(settings, epochs=1), replace(OWN, normalise="data"))
    found = report["trained"]
    exported = Backbone.open(settings.out / "backbone.onnx").preprocessing
    assert list(exported.mean) == found["mean"]
    # A third of the photos is of each colour, 200 in its own channel and 40 in the others.
    np.testing.assert_allclose(found["mean"], (200 + 40 + 40) / 3 / 255, atol=0.02)


def test_an_uncovered_operator_is_said_before_anything_is_made(
    settings: LinearTraining, tmp_path: Path
) -> None:
    net = Net()
    x = net.add("InstanceNormalization", net.conv("x", (3, 4)), *[net.constant([1.0] * 4)] * 2)
    out = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    onnx.save(net.model(["N", 3, 32, 32], {out: ["N", 4]}), str(tmp_path / "odd.onnx"))
    with pytest.raises(BackboneError, match="InstanceNormalization"):
        finetune(replace(settings, backbone=str(tmp_path / "odd.onnx")), OWN)
    assert not settings.out.exists()


def test_too_little_memory_is_said_before_anything_is_made(
    settings: LinearTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from edgetransfer.finetune import plan

    monkeypatch.setattr(
        plan.psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * 2**20)
    )
    with pytest.raises(EdgeTransferError, match="--micro-batch 4, --checkpointing"):
        finetune(settings, OWN)
    assert not settings.out.exists()


def test_only_batchnorm_needs_one(settings: LinearTraining, backbone: Path) -> None:
    folded = replace(settings, backbone=str(backbone), epochs=1)
    with pytest.raises(BackboneError, match="--batchnorm restore puts it back"):
        finetune(folded, replace(OWN, only="batchnorm"))
    finetune(folded, replace(OWN, only="batchnorm", batchnorm="restore"))


def test_forecast_after_the_first_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from edgetransfer.finetune import forecast

    now = 0.0
    monkeypatch.setattr(forecast, "monotonic", lambda: now)
    told = forecast.Forecast(lambda *_: None, epochs=10)
    caplog.set_level("INFO")
    for done in range(0, 700, 10):
        told("epoch 1/10", done, 1000)
        now += 1.0
    # 600 images in the first minute at 10 a second; 9,400 stay.
    assert told.seconds_left == pytest.approx(940)
    assert "10.0 images/s: about 16 min left" in caplog.text


def test_broken_photos_are_skipped_and_named(settings: LinearTraining, photos: Path) -> None:
    (photos / "train/red/000.png").write_bytes(b"broken")
    report = finetune(replace(settings, epochs=1), OWN)
    assert report["skipped"] == 1
    assert report["n_train"] == 59
    assert "000.png" in (settings.out / "skipped.jsonl").read_text()


def test_head_belongs_to_the_finetuned_backbone(settings: LinearTraining) -> None:
    finetune(replace(settings, epochs=1), OWN)
    head = LinearHead.load(settings.out / "head.safetensors")
    assert head.metadata["backbone"] == Backbone.open(settings.out / "backbone.onnx").identity
    assert head.metadata["backbone_name"] == "net-finetuned"


def test_export_of_a_run_and_its_merged_model(
    settings: LinearTraining, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgetransfer.cli.main import main
    from edgetransfer.data import load_labelled
    from edgetransfer.images import SUFFIXES, EvalTransform, decode_image, normalise, render
    from tests.graphs_made import run

    finetune(replace(settings, epochs=1), OWN)
    out = tmp_path / "model"
    assert main(["export", str(settings.out), "--out", str(out), "--merge-head", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == sorted(path.name for path in out.iterdir())
    for name in ("backbone.onnx", "backbone.toml", "head.safetensors", "labels.txt"):
        assert (out / name).read_bytes() == (settings.out / name).read_bytes()
    with Classifier.load(out, engine="onnxruntime", threads=1) as classifier:
        classes = classifier.head.classes
        preprocessing = classifier.extractor.preprocessing
        samples = load_labelled(photos / "test", classes, suffixes=SUFFIXES)[:3]
        expected = [found for _, found in classifier.probabilities(samples)]
    images = np.empty((3, 3, 32, 32), np.float32)
    view = EvalTransform(size=32, resize=36)
    for image, sample in zip(images, samples, strict=True):
        pixels = decode_image(sample.read())
        from PIL import Image

        size = (pixels.shape[1], pixels.shape[0])
        shown = render(Image.fromarray(pixels), view.view(*size), size, preprocessing)
        normalise(shown, preprocessing, image)
    whole = run(onnx.load(str(out / "model.onnx")), images)
    np.testing.assert_allclose(whole, expected, rtol=1e-3, atol=1e-5)
    assert main(["export", str(settings.out), "--out", str(out)]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_stop_by_the_command_line(settings: LinearTraining, photos: Path) -> None:
    from edgetransfer.cli.main import main

    arguments = ["finetune", "--backbone", settings.backbone, "--data", str(photos)]
    assert main([*arguments, "--out", str(settings.out), "--only", "everything"]) == 2
    assert main([*arguments, "--out", str(settings.out), "--resume", "--overwrite"]) == 2
    assert main([*arguments, "--out", str(settings.out), "--learning-rate", "0"]) == 2
    assert not settings.out.exists()


@pytest.mark.parametrize("own", [FinetuneSettings(), OWN])
def test_a_class_of_broken_photos_is_named(
    settings: LinearTraining, photos: Path, own: FinetuneSettings
) -> None:
    for photo in (photos / "train/red").iterdir():
        photo.write_bytes(b"broken")
    with pytest.raises(DataError, match="class 'red' could be decoded"):
        finetune(replace(settings, epochs=1, max_bad=0.9), own)
