"""What takes the steps of a finetuning: torch's optimizers, their state, and their rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from edgetransfer.heads import SGDSettings
from edgetransfer.settings.finetune import FinetuneSettings

WARM_UP = 30  # steps of a cosine until the whole rate
_BUFFERS = {"momentum": "momentum_buffer", "first": "exp_avg", "second": "exp_avg_sq"}

Arrays = dict[str, Any]


def make_optimizer(
    parameters: Mapping[str, nn.Parameter],
    settings: SGDSettings,
    own: FinetuneSettings,
    *,
    grouped: bool,
) -> torch.optim.Optimizer:
    """An optimizer with one group or, ``grouped``, one for each parameter in their order."""
    values = list(parameters.values())
    groups = [{"params": [p]} for p in values] if grouped else [{"params": values}]
    rate, decay = settings.learning_rate, settings.weight_decay
    if own.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, foreach=True)
    return torch.optim.SGD(
        groups, lr=rate, momentum=settings.momentum, weight_decay=decay, foreach=True
    )


def cosine_rate(highest: float, step: int, steps: int) -> float:
    """The learning rate of a step (from 0) out of ``steps``."""
    warm = min(1.0, (step + 1) / min(WARM_UP, max(1, steps // 4)))
    return highest * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(steps, 1))))


def optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> Arrays:
    """Its running sums by name, as arrays."""
    found = {}
    for name, parameter in parameters.items():
        for short, key in _BUFFERS.items():
            buffer = optimizer.state[parameter].get(key)
            if buffer is not None:
                found[f"{short}/{name}"] = np.array(buffer.detach().cpu().numpy(), order="C")
    return found


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    state: Mapping[str, Any],
    steps: int,
) -> None:
    """Go on from what `optimizer_state` returned after so many steps."""
    for name, parameter in parameters.items():
        for short, key in _BUFFERS.items():
            if (array := state.get(f"{short}/{name}")) is not None:
                buffer = torch.empty_like(parameter).copy_(torch.from_numpy(array))
                optimizer.state[parameter][key] = buffer
                if short == "first":
                    optimizer.state[parameter]["step"] = torch.tensor(float(steps))
