"""RigL: Evci et al., "Rigging the Lottery: Making All Tickets Winners", ICML 2020; thesis 2.2.2.

The network begins with a random mask, by default with the densities of Erdős–Rényi kernels (ERK).
Every ``mask_every`` steps in the first three quarters of the training, each layer drops the
smallest of its weights, a share of ``drop_fraction`` * (1 + cos) / 2 of them, and grows as many
where the gradient of all weights is largest among those that are then inactive; the new ones begin
at zero, without momentum. As in the paper, no step of SGD is taken there. Guaranteed: each layer
has the same number of weights throughout.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from edgetransfer.pretrain.compressions import TopK, largest
from edgetransfer.pretrain.objectives import Batch
from edgetransfer.pretrain.policies.policy import Policy, target_of
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.pretrain import Pretraining

END = 0.75  # of the training, as in the paper
USUAL_INTERVAL, LEAST_CHANGES = 100, 30


class RigL(Policy):
    """Constant sparsity; masks move to where gradients are large."""

    def __init__(self, settings: Pretraining, training: Training) -> None:
        super().__init__(settings, training)
        target = target_of(settings, training)
        assert isinstance(target, TopK)
        self.target = target
        self.end = round(END * training.horizon.steps)
        usual = min(USUAL_INTERVAL, max(1, self.end // LEAST_CHANGES))
        self.every = settings.option("mask_every") or usual
        self._changes = False

    def before_step(self, step: int) -> None:
        """See `Policy.before_step`."""
        if step == 0:
            self.compress(self.target, self._random_scores())
        self._changes = 0 < step < self.end and step % self.every == 0

    def _random_scores(self) -> dict[str, Tensor]:
        found = {}
        for index, (name, weight) in enumerate(self.net.prunable.items()):
            rng = np.random.default_rng((self.settings.seed, index, 1))
            drawn = rng.permutation(weight.numel()).astype(np.float32) + 1
            scores = torch.from_numpy(drawn).to(weight.device).view(weight.shape)
            found[name] = scores
        if self.target.distribution == "global":  # a share of each layer on average
            return {name: score / score.numel() for name, score in found.items()}
        return found

    def drop_share(self, step: int) -> float:
        """The share of a layer's weights that moves at a step."""
        first: float = self.settings.option("drop_fraction")
        return first / 2 * (1 + math.cos(math.pi * step / self.end))

    def step(self, step: int, batch: Batch) -> float:
        """See `Policy.step`."""
        if not self._changes:
            return super().step(step, batch)
        loss = self.training.gradients(batch)
        self._move(self.drop_share(step))
        return loss

    @torch.no_grad()
    def _move(self, share: float) -> None:
        masks = {}
        for name, weight in self.net.prunable.items():
            before = self.net.masks[name].bool().reshape(-1)
            active = int(before.sum())
            moved = int(share * active)
            grad = weight.grad
            assert grad is not None
            sizes = weight.detach().abs().reshape(-1)
            kept = before.clone()
            chosen = before.nonzero().view(-1)
            kept[chosen] = largest(sizes[chosen], moved)
            free = (~kept).nonzero().view(-1)
            grown = largest(grad.abs().reshape(-1)[free], len(free) - moved)
            kept[free[grown]] = True
            masks[name] = kept.view(weight.shape)
            # One that was dropped and grown at once begins anew, too.
            old = torch.ones_like(kept)
            old[free[grown]] = False
            weight.mul_(old.view(weight.shape))
            momentum = self.training.optimiser.state[weight].get("momentum_buffer")
            if momentum is not None:
                momentum.mul_(old.view(weight.shape))
        self.training.compress(masks)

    def cost(self, full: float, active: float) -> float:
        """See `Policy.cost`: where masks change the gradient is that of all weights."""
        return 2 * active + full if self._changes else 3 * active
