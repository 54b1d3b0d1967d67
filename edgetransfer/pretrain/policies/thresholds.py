"""STR: Kusupati et al., "Soft Threshold Weight Reparameterization for Learnable Sparsity", ICML
2020; thesis 2.2.2.

Each layer is run with sign(w) * relu(|w| - sigmoid(s)), and learns s by SGD with the weights and
under the same weight decay. That pulls s up from a value far below zero, where nothing is pruned,
so that weight decay and ``threshold_start`` decide how sparse the network becomes; it cannot be
asked for. Guaranteed: the gradients are those of autograd through the soft threshold; the result
has the thresholds applied.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgetransfer.pretrain.objectives import Batch
from edgetransfer.pretrain.policies.policy import Policy
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.pretrain import Pretraining

REACHED, HALFWAY = -5.0, 0.5  # of what the decay alone makes, after this share of the training


def soft_threshold(weight: Tensor, s: Tensor) -> Tensor:
    """sign(w) * relu(|w| - sigmoid(s)), element by element."""
    return torch.sign(weight) * torch.relu(weight.abs() - torch.sigmoid(s))


class SoftThresholds(Policy):
    """Learned thresholds, one a layer."""

    def __init__(self, settings: Pretraining, training: Training) -> None:
        super().__init__(settings, training)
        start = settings.option("threshold_start")
        if start is None:
            start = self.usual_start()
        self.thresholds = {
            name: nn.Parameter(torch.full((), start, device=weight.device))
            for name, weight in self.net.prunable.items()
        }
        training.also_learn({f"threshold/{n}": value for n, value in self.thresholds.items()})

    def usual_start(self) -> float:
        """What the weight decay alone brings to `REACHED` after `HALFWAY` of the training."""
        training = self.training
        steps = range(round(HALFWAY * training.horizon.steps))
        decay = sum(self.rate(step) for step in steps) * training.weight_decay
        exponent = min(decay / (1 - training.momentum), 8.0)
        return float(REACHED * torch.tensor(exponent).exp())

    def effective(self) -> dict[str, Tensor]:
        """The weights that the layers are run with."""
        return {
            name: soft_threshold(weight, self.thresholds[name])
            for name, weight in self.net.prunable.items()
        }

    def step(self, step: int, batch: Batch) -> float:
        """See `Policy.step`."""
        self.training.optimiser.zero_grad(set_to_none=True)
        loss = self.training.loss(batch, self.effective())
        loss.backward()
        self.training.descend(self.rate(step))
        return loss.item()

    def shown(self) -> Mapping[str, Tensor]:
        """See `Policy.shown`."""
        with torch.no_grad():
            return self.effective()

    def finish(self) -> None:
        """Apply the thresholds for good."""
        self.net.load(self.shown())

    def phase(self, step: int) -> str:
        """See `Policy.phase`."""
        return "soft"

    def cost(self, full: float, active: float) -> float:
        """See `Policy.cost`: gradients of weights are dense."""
        return 2 * active + full
