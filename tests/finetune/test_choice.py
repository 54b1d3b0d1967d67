"""A finetuning never hands back less than the linear head that it began from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgetransfer import Classifier, LinearTraining
from edgetransfer.backbones import Backbone
from edgetransfer.errors import UsageError
from edgetransfer.finetune import FinetuneSettings, finetune, finishing
from edgetransfer.finetune.recipe import HELD_OUT, as_begun, resolved
from edgetransfer.heads import LinearHead
from edgetransfer.train.sgd_training import SGDTraining
from tests.graphs_made import tiny

OWN = FinetuneSettings(precision="float32")


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> LinearTraining:
    made = tiny(sparsity=0.6, head="none", size=32)
    (tmp_path / "net").mkdir()
    return LinearTraining(
        backbone=str(made.save(tmp_path / "net" / "net.onnx")),
        data=photos,
        out=tmp_path / "run",
        epochs=1,
        batch_size=16,
        engine="onnxruntime",
        threads=1,
        cache_dir=tmp_path / "cache",
        size=32,
        resize=36,
    )


@pytest.fixture
def ruined(settings: LinearTraining) -> LinearTraining:
    """A learning rate at which it forgets everything."""
    return replace(settings, learning_rate=3.0, momentum=0.0)


def test_where_it_ruins_the_network_the_run_holds_the_linear_head(
    ruined: LinearTraining, photos: Path
) -> None:
    report = finetune(ruined, OWN)
    assert report["kept"] == "linear"
    assert report["n_val"] == round(HELD_OUT * 60)
    assert report["linear"]["on"] == report["finetuned"]["on"] == "validation"
    assert report["linear"]["top1"] > report["finetuned"]["top1"]
    assert any("finetuning did not beat a linear head" in text for text in report["warnings"])
    parent, held = Backbone.open(ruined.backbone), Backbone.open(ruined.out / "backbone.onnx")
    assert held.sha256 == report["exported"]["sha256"]
    assert held.sparsity == parent.sparsity
    with Classifier.load(ruined.out, engine="onnxruntime", threads=1) as classifier:
        assert classifier.evaluate(photos / "test")["top1"] == report["final"]["top1"] > 0.8


def test_the_finetuned_network_can_be_had_without_training_again(
    ruined: LinearTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = finetune(ruined, OWN)
    before = (ruined.out / "backbone.onnx").read_bytes()
    assert finetune(ruined, OWN, resume=True)["kept"] == "linear"

    def trained_again(*_: object, **__: object) -> None:
        raise AssertionError("it trains again")

    monkeypatch.setattr("edgetransfer.finetune.solver.FullFinetuner.step", trained_again)
    report = finetune(ruined, replace(OWN, keep="finetuned"), resume=True)
    assert report["kept"] == "finetuned"
    assert report["finetuned"] == linear["finetuned"]
    assert (ruined.out / "backbone.onnx").read_bytes() != before
    exported = Backbone.open(ruined.out / "backbone.onnx")
    LinearHead.load(ruined.out / "head.safetensors", backbone=exported.identity)


@pytest.mark.parametrize(
    ("linear", "finetuned", "kept"), [(0.8, 0.9, "finetuned"), (0.8, 0.8, "linear")]
)
def test_the_better_one_is_held_and_of_equals_the_simpler(
    linear: float,
    finetuned: float,
    kept: str,
    settings: LinearTraining,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def judged(*_: object) -> dict[str, float]:
        return {"top1": finetuned, "mean_per_class": finetuned}

    def trained(self: SGDTraining) -> None:
        self.state.notes["linear"] = {"on": "validation", "top1": linear, "mean_per_class": linear}
        train(self)

    train = SGDTraining.train
    monkeypatch.setattr(SGDTraining, "train", trained)
    monkeypatch.setattr(finishing, "accuracies", judged)
    assert finetune(settings, OWN)["kept"] == kept


def test_photos_that_are_for_validation_are_what_it_is_judged_on(
    settings: LinearTraining, photos: Path
) -> None:
    (photos / "test").rename(photos / "val")
    report = finetune(settings, OWN)
    assert (report["n_train"], report["n_val"]) == (60, 15)


@pytest.mark.parametrize(
    ("recipe", "own", "keep", "held_out"),
    [
        ("default", {}, "better", HELD_OUT),
        ("default", {"baseline": False}, "finetuned", 0.0),
        ("default", {"keep": "finetuned"}, "finetuned", 0.0),
        ("paper", {}, "finetuned", 0.0),
        ("paper", {"keep": "better"}, "better", HELD_OUT),
    ],
)
def test_what_is_held_out(
    recipe: Any, own: dict[str, Any], keep: str, held_out: float, settings: LinearTraining
) -> None:
    training, chosen = resolved(replace(settings, recipe=recipe), FinetuneSettings(**own))
    assert (chosen.keep, training.val_fraction) == (keep, held_out)


def test_a_share_that_is_given_stays() -> None:
    training = LinearTraining(data="photos", out="run", val_fraction=0.1)
    assert resolved(training, FinetuneSettings())[0].val_fraction == 0.1


def test_a_run_from_before_there_was_a_choice_goes_on_without_one(
    settings: LinearTraining,
) -> None:
    training, own = as_begun(settings, FinetuneSettings(), {"finetune": {}, "val_fraction": 0.0})
    training, own = resolved(training, own)
    assert (own.keep, training.val_fraction) == ("finetuned", 0.0)


def test_better_than_nothing_cannot_be_told() -> None:
    with pytest.raises(UsageError, match="--no-baseline"):
        FinetuneSettings(keep="better", baseline=False)
