"""Whole finetunings in the sparse training engine, and which engine is taken."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgetransfer import LinearTraining
from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError, EngineError, UsageError
from edgetransfer.finetune import FinetuneSettings, finetune, lane_running
from edgetransfer.finetune.lane_choice import LaneChooser, check_asked, kept_choice
from edgetransfer.finetune.lane_costs import LaneCosts
from edgetransfer.finetune.lane_timing import measured_costs
from edgetransfer.finetune.masks import WeightMasks, count_zeros
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.running import Runner
from edgetransfer.masked import TrainingThreads
from edgetransfer.native import compiling
from edgetransfer.native.compiling import why_absent
from edgetransfer.train.sgd_training import SGDTraining
from edgetransfer.types import no_progress
from tests.graphs_made import Net, noise, tiny

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
SPARSE = FinetuneSettings(baseline=False, precision="float32", training_engine="sparse")
TORCH = replace(SPARSE, training_engine="torch")


@pytest.fixture
def settings(photos: Path, tmp_path: Path) -> LinearTraining:
    made = tiny(sparsity=0.85, head="none", size=32)
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


def losses(report: Any) -> list[float]:
    return [epoch["train_loss"] for epoch in report["epochs"]]


@pytest.mark.parametrize("batchnorm", ["keep", "restore"])
def test_it_trains_as_torch_does(settings: LinearTraining, batchnorm: Any) -> None:
    own = replace(SPARSE, batchnorm=batchnorm)
    expected = finetune(
        replace(settings, out=settings.out.with_name("torch")), replace(TORCH, batchnorm=batchnorm)
    )
    found = finetune(settings, own)
    engine = found["trained"]["training_engine"]
    assert (engine["name"], expected["trained"]["training_engine"]["name"]) == ("sparse", "torch")
    assert engine["layers"] > 0
    np.testing.assert_allclose(losses(found), losses(expected), rtol=1e-3)
    assert losses(found)[-1] < losses(found)[0]
    first, second = (
        Backbone.open(out / "backbone.onnx", size=32)
        for out in (settings.out, settings.out.with_name("torch"))
    )
    assert count_zeros(first.body) == count_zeros(second.body) > 0


def test_a_run_that_was_killed_ends_bit_for_bit_like_another(
    settings: LinearTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune(settings, SPARSE)
    cut = replace(settings, out=settings.out.with_name("cut"), checkpoint_seconds=0.0)
    saves, save = 0, SGDTraining._save

    def killed(self: SGDTraining) -> None:
        nonlocal saves
        save(self)
        saves += 1
        if saves == 6:  # in the middle of the second epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SGDTraining, "_save", killed)
        with pytest.raises(KeyboardInterrupt):
            finetune(cut, SPARSE)
    resumed = finetune(cut, SPARSE, resume=True)
    assert losses(resumed) == losses(whole)
    for name in ("backbone.onnx", "head.safetensors"):
        assert (cut.out / name).read_bytes() == (settings.out / name).read_bytes()


def test_auto_measures_once_and_a_run_that_goes_on_takes_the_same(
    settings: LinearTraining, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = replace(SPARSE, training_engine="auto")
    assert "too short" in finetune(settings, own)["trained"]["training_engine"]["reason"]
    monkeypatch.setattr(lane_running, "WORTH_MEASURING", 0)
    # Whichever is faster here: what matters is that it is measured, said, kept and taken again.
    caplog.set_level(logging.INFO)
    first = finetune(replace(settings, out=settings.out.with_name("first")), own)
    assert first["trained"]["training_engine"]["name"] in caplog.text
    (kept,) = (settings.cache_dir or Path()).glob("training-engine/*.json")
    choice = kept_choice(kept)
    assert choice is not None
    assert choice.reason == first["trained"]["training_engine"]["reason"]
    monkeypatch.setattr(LaneChooser, "measured", None)
    second = finetune(replace(settings, out=settings.out.with_name("second")), own)
    assert losses(second) == losses(first)


def test_a_choice_that_is_not_whole_is_measured_anew(tmp_path: Path) -> None:
    file = tmp_path / "choice.json"
    assert kept_choice(file) is None
    for text in ("", "[]", "{}", '{"layers": 3, "reason": ""}'):
        file.write_text(text)
        assert kept_choice(file) is None


def test_it_is_refused_where_it_cannot_be(
    settings: LinearTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = tiny(sparsity=0.5, head="none", size=32).save(tmp_path / "dense.onnx")
    with pytest.raises(BackboneError, match=r"75% of the weights are zero.*most has"):
        finetune(replace(settings, backbone=str(dense)), SPARSE)
    assert not settings.out.exists()
    model = Backbone.open(settings.backbone, size=32).frozen(2)
    masks = WeightMasks.of(model)
    with pytest.raises(UsageError, match="--device cpu"):
        check_asked(SPARSE, model, masks, torch.device("cuda"))
    monkeypatch.setattr(compiling, "LIBRARY", tmp_path / "none.so")
    from edgetransfer.masked.native import load_training

    load_training.cache_clear()
    with pytest.raises(EngineError, match="was not compiled"):
        finetune(settings, SPARSE)
    auto = finetune(settings, replace(SPARSE, training_engine="auto"))
    assert "not compiled" in auto["trained"]["training_engine"]["reason"]
    load_training.cache_clear()


def test_layers_are_measured_and_batch_norm_learns_nothing_from_it() -> None:
    net = Net()
    x = net.batch_norm(net.conv("x", (3, 8), sparsity=0.9), 8)
    x = net.conv(net.add("Relu", x), (8, 8), sparsity=0.9)
    y = net.add("GlobalAveragePool", x, name="y")
    model = net.model([4, 3, 12, 12], {y: [4, 8, 1, 1]})
    module = OnnxModule(model)
    before = {name: value.copy() for name, value in module.values.items()}
    chooser = LaneChooser(module, model, WeightMasks.of(model), 1)
    runner = Runner(module, torch.device("cpu"), bfloat16=False, checkpointing=False)
    images = [torch.from_numpy(noise(4, 3, 12, 12))]
    layers = chooser.sparse_layers()
    costs = measured_costs(
        runner, model.graph.node, layers, images, TrainingThreads.of(1), no_progress
    )
    assert costs.layers.keys() == layers.keys()
    assert len(layers) == 2
    assert all(0 < seconds < 1 for pair in costs.layers.values() for seconds in pair)
    assert costs.a_number > 0
    chooser.measured(runner, images, no_progress)
    for name, value in module.values.items():
        np.testing.assert_array_equal(value, before[name])
    assert all(parameter.grad is None for parameter in module.parameters())


def chain(length: int) -> tuple[list[Any], dict[str, int]]:
    """Convolutions with a ReLU behind each."""
    net = Net()
    x = "x"
    for _ in range(length):
        x = net.add("Relu", net.conv(x, (4, 4)))
    return net.nodes, {"x": 100, **{f"t{i}": 100 for i in range(2 * length)}}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([(9, 1), (9, 1), (9, 1)], {"t0", "t2", "t4"}),  # all gain
        ([(1, 9), (1, 9), (1, 9)], set()),  # none does
        ([(9, 1), (1, 2), (9, 1)], {"t0", "t2", "t4"}),  # to lay maps anew costs more than it
        ([(9, 1), (1, 6), (9, 1)], {"t0", "t4"}),
        ([(2, 1), (9, 10), (2, 1)], set()),  # what is gained is lost on the way in and out
    ],
)
def test_the_choice_is_the_cheapest_of_all(
    seconds: list[tuple[float, float]], expected: set[str]
) -> None:
    nodes, numbers = chain(3)
    names = ("t0", "t2", "t4")
    costs = LaneCosts(
        nodes=nodes,
        outputs=("t5",),
        layers=dict(zip(names, seconds, strict=True)),
        numbers=numbers,
        a_number=0.01,
    )
    every = [frozenset(n for i, n in enumerate(names) if bits >> i & 1) for bits in range(1 << 3)]
    assert costs.of(costs.best()) == min(map(costs.of, every))
    assert costs.best() == expected
