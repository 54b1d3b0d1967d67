"""A random tiny network in training, and batches for it: what policies are tested on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgetransfer.backbones import BackboneCard
from edgetransfer.backbones.architectures import build, random_parameters
from edgetransfer.backbones.architectures.small import residual
from edgetransfer.graphs.freeze import freeze
from edgetransfer.pretrain.objectives import Batch, LabelLoss
from edgetransfer.pretrain.policies import Policy, make_policy
from edgetransfer.pretrain.starting import FROZEN, Start
from edgetransfer.pretrain.training import Horizon, Training
from edgetransfer.settings.pretrain import Pretraining

CLASSES = ("a", "b", "c")
SIDE = 16
PER_EPOCH = 4


def settings(policy: str, **given: Any) -> Pretraining:
    usual = {"data": Path("photos"), "out": Path("net.onnx"), "epochs": 10, "size": SIDE}
    usual |= {"learning_rate": 0.05, "threads": 1}
    return Pretraining(policy=policy, **{**usual, **given})


def batch(number: int, size: int = 8) -> Batch:
    rng = np.random.default_rng((number, 7))
    images = torch.from_numpy(rng.standard_normal((size, 3, SIDE, SIDE), np.float32))
    return Batch(images=images, labels=torch.from_numpy(rng.integers(0, 3, size)))


def samples(count: int, size: int, number: int) -> Iterator[Batch]:
    return (batch(1000 * number + i, size) for i in range(count))


def start(widths: tuple[int, ...] = (8, 16)) -> Start:
    """A stem and a residual block a stage."""
    table = residual("tiny", widths, 1, stem_stride=2)
    parameters = random_parameters(table, 0, classes=len(CLASSES))
    body = build(table, parameters, size=SIDE, keep_batchnorm=True)
    weight, bias = (torch.from_numpy(parameters[f"head.{part}"]) for part in ("weight", "bias"))
    return Start(
        body=body,
        model=freeze(body, batch_size=FROZEN, size=SIDE),
        card=BackboneCard(name="tiny"),
        head=(weight, bias),
        identity="tiny",
    )


def training(chosen: Pretraining) -> Training:
    """Of a network that is the same for the same settings, with four steps an epoch."""
    torch.set_num_threads(1)
    net = start().network(chosen)
    horizon = Horizon(
        steps=PER_EPOCH * chosen.n_epochs,
        per_epoch=PER_EPOCH,
        base_epochs=chosen.base_epochs,
        warm_up=2,
        highest=chosen.highest_rate,
    )
    return Training(
        net,
        LabelLoss(smoothing=0.0),
        horizon,
        momentum=chosen.momentum,
        weight_decay=chosen.weight_decay,
        seed=chosen.seed,
        samples=samples,
    )


def policy(name: str, **given: Any) -> Policy:
    chosen = settings(name, **given)
    return make_policy(chosen, training(chosen))


def take(policy: Policy, step: int) -> float:
    """One step as the trainer takes it."""
    policy.net.module.train()
    policy.before_step(step)
    return policy.step(step, batch(step))


def kept(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: weight.detach() != 0 for name, weight in policy.net.prunable.items()}


def zeros(weights: dict[str, torch.Tensor]) -> int:
    """Weights that are masked."""
    return sum(int((~mask).sum()) for mask in weights.values())


def total(weights: dict[str, torch.Tensor]) -> int:
    """Weights that have a mask."""
    return sum(mask.numel() for mask in weights.values())
