"""What a policy works on: the network, its SGD, the loss of a batch, and how long there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from edgetransfer.pretrain.network import Network, Tensors
from edgetransfer.pretrain.objectives import Batch, Objective


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """How long a training is.

    Parameters
    ----------
    steps
        In all.
    per_epoch
        Steps of one epoch.
    base_epochs
        Epochs before the training was stretched.
    warm_up
        Steps until the highest learning rate.
    highest
        The highest learning rate.
    """

    steps: int
    per_epoch: int
    base_epochs: int
    warm_up: int
    highest: float

    def rate(self, place: int, of: int) -> float:
        """The learning rate at a step, from 0, of so many: up in a line, down along a cosine."""
        warm = min(self.warm_up, of // 2)
        if place < warm:
            return self.highest * (place + 1) / warm
        return self.highest * 0.5 * (1 + math.cos(math.pi * (place - warm) / max(of - warm, 1)))


class Training:
    """SGD with momentum and weight decay on a network; torch's own update.

    Parameters
    ----------
    samples
        So many batches of so many photos each, drawn by a number: for what needs more than the
        step's own.
    """

    def __init__(
        self,
        net: Network,
        objective: Objective,
        horizon: Horizon,
        *,
        momentum: float,
        weight_decay: float,
        seed: int,
        samples: Callable[[int, int, int], Iterator[Batch]],
    ) -> None:
        self.net = net
        self.objective = objective
        self.horizon = horizon
        self.seed = seed
        self.samples = samples
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.parameters = dict(net.parameters)
        self.optimiser = torch.optim.SGD(
            list(self.parameters.values()),
            lr=horizon.highest,
            momentum=momentum,
            weight_decay=weight_decay,
            foreach=True,
        )
        self.mask_changes = 0

    def also_learn(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Train parameters that are no part of the network, such as thresholds."""
        self.parameters |= parameters
        self.optimiser.add_param_group({"params": list(parameters.values())})

    def loss(self, batch: Batch, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """The mean loss of a batch, with other weights in place of some if they are given."""
        return self.objective(self.net, batch, weights)

    def gradients(self, batch: Batch) -> float:
        """Compute them anew where the weights are; returns the loss."""
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(batch)
        loss.backward()
        return loss.item()

    def descend(self, rate: float) -> None:
        """Take the step of the gradients that are there; what is masked does not move."""
        self.net.mask_gradients()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()

    @torch.no_grad()
    def compress(self, masks: Mapping[str, Tensor]) -> None:
        """Keep these weights alone; what is pruned loses its momentum, so that it stays zero."""
        self.net.set_masks(masks)
        for name, mask in self.net.masks.items():
            buffer = self.optimiser.state[self.net.parameters[name]].get("momentum_buffer")
            if buffer is not None:
                buffer.mul_(mask)
        self.mask_changes += 1

    def decompress(self) -> None:
        """Let every weight be trained, from a standstill."""
        self.net.masks = {}
        self.reset_momentum()
        self.mask_changes += 1

    def reset_momentum(self) -> None:
        """Forget all momentum."""
        for parameter in self.parameters.values():
            self.optimiser.state[parameter].pop("momentum_buffer", None)

    def state(self) -> Tensors:
        """Everything that changes with steps, by name."""
        found = {f"value/{name}": value for name, value in self.net.values.items()}
        for name, parameter in self.parameters.items():
            if name not in self.net.parameters:
                found[f"value/{name}"] = parameter.detach().cpu().clone()
            buffer = self.optimiser.state[parameter].get("momentum_buffer")
            if buffer is not None:
                found[f"momentum/{name}"] = buffer.cpu().contiguous()
        for name, mask in self.net.masks.items():
            found[f"mask/{name}"] = mask.bool().cpu().contiguous()
        return found

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        values = {n.removeprefix("value/"): v for n, v in state.items() if n.startswith("value/")}
        own = {name: v for name, v in values.items() if name in self.parameters}
        self.net.load({n: v for n, v in values.items() if n not in own})
        self.reset_momentum()
        for name, parameter in self.parameters.items():
            parameter.copy_(own[name])
            if (momentum := state.get(f"momentum/{name}")) is not None:
                buffer = torch.empty_like(parameter).copy_(momentum)
                self.optimiser.state[parameter]["momentum_buffer"] = buffer
        masks = {n.removeprefix("mask/"): m for n, m in state.items() if n.startswith("mask/")}
        self.net.set_masks(masks)
        self.mask_changes += 1
