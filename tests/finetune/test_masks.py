"""Masked weights are exactly zero after every step, whatever the step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from edgetransfer.finetune.initializers import with_initializers
from edgetransfer.finetune.masks import WeightMasks, count_zeros
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.running import Runner
from edgetransfer.finetune.settings import FinetuneSettings
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.heads import LinearHead, SGDSettings
from tests.graphs_made import noise, tiny

SHAPE = (3, 16, 16)


def opened(tmp_path: Path, name: str = "net", **options: object) -> Backbone:
    return Backbone.open(tiny(**options).save(tmp_path / f"{name}.onnx"), size=16)


def finetuner(
    backbone: Backbone, *, bfloat16: bool = False, momentum: float = 0.9, **own: object
) -> FullFinetuner:
    model = backbone.frozen(2)
    settings = FinetuneSettings(**own)
    module = OnnxModule(model, overwrite=not settings.checkpointing)
    return FullFinetuner(
        Runner(
            module, torch.device("cpu"), bfloat16=bfloat16, checkpointing=settings.checkpointing
        ),
        [SHAPE],
        LinearHead.initial(backbone.dimension, ("a", "b", "c"), 0),
        settings=SGDSettings(learning_rate=0.1, momentum=momentum, weight_decay=0.01),
        own=settings,
        micro_batch=settings.micro_batch or 4,
        masks=WeightMasks.of(model),
        rates={},
        steps=8,
        seed=0,
    )


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    images = noise(8, int(np.prod(SHAPE)), seed=step)
    return images, np.arange(8, dtype=np.int64) % 3


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_masked_weights_stay_exactly_zero_and_the_others_move(
    bfloat16: bool, optimizer: str, tmp_path: Path
) -> None:
    backbone = opened(tmp_path, sparsity=0.7)
    before = {t.name: numpy_helper.to_array(t) for t in backbone.body.graph.initializer}
    solver = finetuner(backbone, bfloat16=bfloat16, mixup=0.2, optimizer=optimizer)
    masks = solver.masks
    assert masks.zeros > 0
    for step in range(5):
        solver.step(*batch(step), 0.1)
        for name, mask in masks.masks.items():
            value = solver.module.tensor(name).detach().numpy()
            assert not value[~mask].any()
            assert (value[mask] != before[name][mask]).mean() > 0.5
    state = solver.state()
    for name, mask in masks.masks.items():
        for sums in {"sgd": ["momentum"], "adam": ["first", "second"]}[optimizer]:
            assert not state[f"{sums}/{name}"][~mask].any()
    resumed = finetuner(backbone, bfloat16=bfloat16, mixup=0.2, optimizer=optimizer)
    resumed.restore(state)
    resumed.step(*batch(5), 0.1)
    assert masks.violations(resumed.module.write_into(backbone.body)) == 0


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_resumed_solver_goes_on_bit_for_bit(tmp_path: Path, optimizer: str) -> None:
    backbone = opened(tmp_path, sparsity=0.5)
    own = {"mixup": 0.4, "optimizer": optimizer}
    whole, first = finetuner(backbone, **own), finetuner(backbone, **own)
    losses = [whole.step(*batch(step), 0.05) for step in range(6)]
    for step in range(3):
        first.step(*batch(step), 0.05)
    second = finetuner(backbone, **own)
    second.restore(first.state())
    assert [second.step(*batch(step), 0.05) for step in range(3, 6)] == losses[3:]
    for name, value in whole.state().items():
        np.testing.assert_array_equal(second.state()[name], value)


def test_a_step_is_that_of_torch_sgd_written_out(tmp_path: Path) -> None:
    backbone = opened(tmp_path, sparsity=0.5)
    solver = finetuner(backbone)
    module = OnnxModule(backbone.frozen(2), overwrite=False).train()
    weights = torch.from_numpy(solver.head.weights.copy()).requires_grad_()
    bias = torch.from_numpy(solver.head.bias.copy()).requires_grad_()
    velocity: dict[str, torch.Tensor] = {}
    for step in range(3):
        images, labels = batch(step)
        assert solver.step(images, labels, 0.1) > 0
        # Batch-norm sees micro-batches of four.
        total = torch.zeros(())
        for part in (slice(0, 4), slice(4, 8)):
            logits = module(torch.from_numpy(images[part]).reshape(-1, *SHAPE)) @ weights + bias
            total = total + torch.nn.functional.cross_entropy(
                logits, torch.from_numpy(labels[part]), reduction="sum"
            )
        everything = {**dict(module.trainable), "weights": weights, "bias": bias}
        gradients = torch.autograd.grad(total / 8, list(everything.values()))
        with torch.no_grad():
            for (name, value), gradient in zip(everything.items(), gradients, strict=True):
                g = gradient + 0.01 * value
                if name in solver.masks.masks:
                    g = g * torch.from_numpy(solver.masks.masks[name])
                velocity[name] = g if step == 0 else 0.9 * velocity[name] + g
                value -= 0.1 * velocity[name]
    np.testing.assert_allclose(solver.head.weights, weights.detach(), rtol=1e-4, atol=1e-6)
    for name, value in module.trainable:
        np.testing.assert_allclose(
            solver.module.tensor(name).detach(), value.detach(), rtol=1e-3, atol=1e-5
        )


def test_checkpointing_changes_nothing_but_memory(tmp_path: Path) -> None:
    backbone = opened(tmp_path, sparsity=0.5)
    plain, sparing = finetuner(backbone), finetuner(backbone, checkpointing=True)
    for step in range(3):
        assert sparing.step(*batch(step), 0.1) == pytest.approx(
            plain.step(*batch(step), 0.1), rel=1e-5
        )
    for name, value in plain.state().items():
        np.testing.assert_allclose(sparing.state()[name], value, rtol=1e-4, atol=1e-6)


def test_masks_of_one_with_weights_of_another(tmp_path: Path) -> None:
    sparse = opened(tmp_path, "sparse", sparsity=0.8, seed=1).frozen(2)
    dense = opened(tmp_path, "dense", seed=2).frozen(2)
    masks = WeightMasks.transferred(sparse, dense)
    assert masks.zeros == count_zeros(sparse) > 0
    masked = with_initializers(dense, masks.applied(dense))
    assert count_zeros(masked) == count_zeros(sparse)
    assert masks.violations(dense) > 0
    assert masks.violations(masked) == 0


def test_a_mask_of_another_architecture_is_refused(tmp_path: Path) -> None:
    one = opened(tmp_path, "one", sparsity=0.5).frozen(2)
    other = opened(tmp_path, "other", width=6).frozen(2)
    with pytest.raises(BackboneError, match="has shape"):
        WeightMasks.transferred(one, other)


def test_zero_biases_are_no_mask(tmp_path: Path) -> None:
    backbone = opened(tmp_path, sparsity=0.5)
    copy = onnx.ModelProto()
    copy.CopyFrom(backbone.frozen(2))
    for tensor in copy.graph.initializer:
        if len(tensor.dims) == 1 and tensor.data_type == onnx.TensorProto.FLOAT:
            zeros = np.zeros(tuple(tensor.dims), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    assert WeightMasks.of(copy).zeros == WeightMasks.of(backbone.frozen(2)).zeros


def test_divergence_is_said(tmp_path: Path) -> None:
    from edgetransfer.errors import DataError

    solver = finetuner(opened(tmp_path, sparsity=0.5))
    images, labels = batch(0)
    with pytest.raises(DataError, match="diverged"):
        solver.step(images * np.float32(np.inf), labels, 0.1)


def test_settings_are_checked() -> None:
    from edgetransfer.errors import UsageError

    for wrong in (
        {"only": "everything"},
        {"layer_decay": 0.0},
        {"mixup": -1.0},
        {"cached_frozen": True},
        {"from_layer": "x", "only": "last-block"},
        {"from_layer": "x", "teacher": "y"},
        {"teacher_weight": 2.0},
        {"micro_batch": 0},
        {"temperature": 0.0},
    ):
        with pytest.raises(UsageError):
            replace(FinetuneSettings(), **wrong)
