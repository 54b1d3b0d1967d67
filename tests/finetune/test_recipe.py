"""The paper's recipe to the letter, and the same defaults from Python and the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from edgetransfer import LinearTraining
from edgetransfer.backbones import Backbone
from edgetransfer.cli.main import main
from edgetransfer.data import load_data
from edgetransfer.errors import UsageError
from edgetransfer.finetune import FinetuneSettings, finetune
from edgetransfer.finetune.recipe import as_begun, departures, resolved
from edgetransfer.heads import LinearHead
from edgetransfer.images import SUFFIXES, TrainTransform, open_upright, render, view_rng
from edgetransfer.train.opening import train_view
from tests.graphs_made import tiny


def training(data: Path = Path("photos"), **changes: Any) -> LinearTraining:
    return LinearTraining(backbone="net.onnx", data=data, out=Path("run"), **changes)


@pytest.mark.parametrize(
    ("optimizer", "recipe", "data", "expected"),
    [
        ("sgd", "default", "photos", (0.001, 20, 120.0)),
        ("adam", "default", "photos", (0.0003, 20, 120.0)),
        ("sgd", "paper", "photos", (0.001, 150, 120.0)),
        ("sgd", "paper", "pets", (0.001, 150, 120.0)),
        ("sgd", "paper", "fgvc-aircraft", (0.01, 150, 120.0)),
        ("sgd", "paper", "stanford_cars/train", (0.01, 150, 120.0)),
        ("sgd", "default", "stanford_cars", (0.001, 20, 120.0)),
    ],
)
def test_what_is_left_open(
    optimizer: Any, recipe: Any, data: str, expected: tuple[float, int, float]
) -> None:
    found, own = resolved(
        training(Path(data), recipe=recipe), FinetuneSettings(optimizer=optimizer)
    )
    assert (found.sgd.learning_rate, found.n_epochs, found.checkpoint_seconds) == expected
    assert own.schedule == ("cosine" if optimizer == "adam" else "step")
    assert departures(found, own) == []
    assert resolved(found, own) == (found, own)


@pytest.mark.parametrize(
    ("recipe", "given", "begins"),
    [
        ("default", {}, "linear"),
        ("paper", {}, "kaiming"),
        ("paper", {"head_init": "linear"}, "linear"),
        ("default", {"head_init": "kaiming"}, "kaiming"),
        ("default", {"head_bias": False}, "kaiming"),
        ("default", {"baseline": False}, "kaiming"),
    ],
)
def test_few_photos_begin_with_the_linear_head(
    recipe: str, given: dict[str, Any], begins: str
) -> None:
    _, own = resolved(training(recipe=recipe), FinetuneSettings(**given))
    assert own.head_init == begins
    # A run of before began with a fresh head, and goes on so.
    _, again = as_begun(training(recipe=recipe), FinetuneSettings(), {"finetune": {}})
    assert again.head_init == "kaiming"
    _, again = as_begun(training(), FinetuneSettings(), {"finetune": {"head_init": begins}})
    assert again.head_init == begins


def test_the_papers_recipe() -> None:
    found, own = resolved(training(recipe="paper"), FinetuneSettings())
    rates = [found.sgd.rate(epoch, found.n_epochs) for epoch in (0, 49, 50, 99, 100, 149)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert (found.batch_size, found.momentum, found.weight_decay) == (64, 0.9, 5e-4)
    assert (found.min_crop, found.flip) == (0.08, True)
    assert own.micro_batch == 64  # batch-norm sees the whole batch
    assert (own.batchnorm, own.normalise, own.precision) == ("restore", "augmented", "float32")
    assert (own.head_init, own.optimizer, own.refit_head) == ("kaiming", "sgd", False)


@pytest.mark.parametrize(
    ("changes", "own", "named"),
    [
        ({"epochs": 10}, {}, "epochs 10 (not 150)"),
        ({"batch_size": 32}, {}, "batch_size 32 (not 64)"),
        ({"learning_rate": 0.01}, {}, "learning_rate 0.01 (not 0.001)"),
        ({"flip": False}, {}, "flip False (not True)"),
        ({}, {"micro_batch": 16}, "micro_batch 16 (not 64)"),
        ({}, {"precision": "bfloat16"}, "precision bfloat16 (not float32)"),
        ({}, {"batchnorm": "keep"}, "batchnorm keep (not restore)"),
        ({}, {"normalise": "card"}, "normalise card (not augmented)"),
        ({}, {"mixup": 0.2}, "mixup 0.2 (not 0.0)"),
        ({}, {"optimizer": "adam"}, "optimizer adam (not sgd)"),
    ],
)
def test_departures_are_named(changes: Any, own: Any, named: str) -> None:
    found = departures(*resolved(training(recipe="paper", **changes), FinetuneSettings(**own)))
    assert named in found
    usual = departures(*resolved(training(**changes), FinetuneSettings(**own)))
    assert usual == []


def test_the_linear_recipe() -> None:
    online = training(mode="online", recipe="paper")
    assert (online.n_epochs, online.sgd.learning_rate, online.solver) == (150, 0.01, "sgd")
    assert online.departures == []
    assert training(recipe="paper").solver == "sgd"
    assert replace(online, epochs=20).departures == ["epochs 20 (not 150)"]
    assert training(mode="online").n_epochs == 20
    with pytest.raises(UsageError, match="--recipe is one of default, paper"):
        training(recipe="theirs")
    with pytest.raises(UsageError, match="--metric is one of"):
        training(metric="top5")


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> LinearTraining:
    (tmp_path / "net").mkdir()
    return LinearTraining(
        backbone=str(tiny(sparsity=0.6, head="none", size=32).save(tmp_path / "net" / "net.onnx")),
        data=photos,
        out=tmp_path / "run",
        epochs=1,
        engine="onnxruntime",
        threads=1,
        cache_dir=tmp_path / "cache",
        size=32,
        resize=36,
    )


@pytest.mark.parametrize("optimizer", [pytest.param("sgd", marks=pytest.mark.slow), "adam"])
def test_python_and_the_command_line_train_alike(
    settings: LinearTraining, tmp_path: Path, optimizer: Any
) -> None:
    finetune(settings, FinetuneSettings(optimizer=optimizer, baseline=False))
    command = [
        *("finetune", "--backbone", settings.backbone, "--data", str(settings.data)),
        *("--out", str(tmp_path / "second"), "--epochs", "1", "--engine", "onnxruntime"),
        *("--threads", "1", "--size", "32", "--resize", "36", "--optimizer", optimizer),
        *("--cache-dir", str(settings.cache_dir), "--no-baseline", "--json"),
    ]
    assert main(command) == 0
    for name in ("head.safetensors", "backbone.onnx"):
        first, second = (
            (folder / name).read_bytes() for folder in (settings.out, tmp_path / "second")
        )
        assert first == second, name


def test_the_papers_recipe_end_to_end(settings: LinearTraining) -> None:
    report = finetune(replace(settings, recipe="paper"), FinetuneSettings(baseline=False))
    assert report["recipe"]["name"] == "paper"
    assert report["recipe"]["departures"] == ["epochs 1 (not 150)"]
    assert any("not the paper's recipe: epochs 1" in text for text in report["warnings"])
    assert report["trained"]["precision"] == "float32"


def test_normalised_by_the_training_set_under_its_augmentation(
    settings: LinearTraining, photos: Path
) -> None:
    # Photos whose border is white and whose middle is black: crops of a tenth see less of both.
    for path in sorted((photos / "train").glob("*/*.png")):
        pixels = np.full((48, 48, 3), 255, np.uint8)
        pixels[8:40, 8:40] = 0
        Image.fromarray(pixels).save(path)
    own = FinetuneSettings(baseline=False, normalise="augmented")
    report = finetune(replace(settings, resize=36), own)
    whole = finetune(
        replace(settings, out=settings.out.with_name("whole")), replace(own, normalise="data")
    )
    view = train_view(settings, epoch=0)
    transform = TrainTransform(size=32, area=view.area, flip=view.flip)
    shown = []
    for index, sample in enumerate(load_data(photos, suffixes=SUFFIXES).train):
        assert isinstance(sample.source, Path)
        picture = open_upright(sample.source)
        rng = view_rng(view.seed, 0, index)
        window = transform.view(*picture.size, rng)
        preprocessing = Backbone.open(settings.backbone, size=32, resize=36).preprocessing
        shown.append(np.asarray(render(picture, window, picture.size, preprocessing)) / 255)
    pixels = np.stack(shown)
    np.testing.assert_allclose(report["trained"]["mean"], pixels.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(report["trained"]["std"], pixels.std(axis=(0, 1, 2)), atol=1e-4)
    assert report["trained"]["mean"] != whole["trained"]["mean"]


def test_a_head_without_bias(settings: LinearTraining) -> None:
    report = finetune(settings, FinetuneSettings(baseline=False, head_bias=False))
    head = LinearHead.load(settings.out / "head.safetensors")
    assert not head.bias.any()
    assert head.weights.any()
    with_bias = finetune(
        replace(settings, out=settings.out.with_name("other")), FinetuneSettings(baseline=False)
    )
    assert report["trained"]["parameters"] == with_bias["trained"]["parameters"] - 3
    for own in ({"head_init": "linear"}, {"refit_head": True}):
        with pytest.raises(UsageError, match="--no-head-bias"):
            FinetuneSettings(head_bias=False, **own)  # type: ignore[arg-type]


def test_the_linear_head_is_that_of_the_masked_backbone(
    settings: LinearTraining, tmp_path: Path
) -> None:
    """As where a lottery ticket's mask makes the features collapse: here it takes all weights."""
    model = onnx.load(settings.backbone)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            values = np.zeros(tuple(tensor.dims), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, str(tmp_path / "mask.onnx"))
    settings = replace(settings, val_fraction=0.3)
    own = FinetuneSettings(head_init="linear", normalise="card")
    plain = finetune(settings, own)  # its features are in the cache now
    own = replace(own, mask=str(tmp_path / "mask.onnx"))
    masked = finetune(replace(settings, out=tmp_path / "masked"), own)
    assert plain["linear"]["top1"] > 0.9
    assert masked["linear"]["top1"] == pytest.approx(1 / 3)
    assert masked["backbone"]["sparsity"] == 1
    card = Backbone.open(tmp_path / "masked" / "backbone.onnx").card
    assert card.parent == Backbone.open(settings.backbone, size=32, resize=36).sha256
