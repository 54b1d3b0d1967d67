"""Gradual magnitude pruning (GMP): Zhu and Gupta, "To prune, or not to prune", 2017.

Thesis 2.2.2 and 3.6.1. From ``prune_from`` to ``prune_until`` of the training the sparsity follows
s(t) = s_f * (1 - (1 - t)^3); masks change every ``mask_every`` steps, and in the last of these
steps at the latest. Guaranteed: the sparsity at each change is exactly that of the formula, and a
pruned weight never comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from edgetransfer.pretrain.compressions import NOfM, TopK
from edgetransfer.pretrain.policies.policy import Policy, target_of
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.pretrain import Pretraining


class Gradual(Policy):
    """Magnitude pruning along a cubic schedule."""

    def __init__(self, settings: Pretraining, training: Training) -> None:
        super().__init__(settings, training)
        self.target = target_of(settings, training)
        steps = training.horizon.steps
        self.first = round(settings.option("prune_from") * steps)
        self.last = min(max(round(settings.option("prune_until") * steps), self.first), steps - 1)
        self.every = settings.option("mask_every") or self.usual_interval()

    def usual_interval(self) -> int:
        """Steps between masks where nothing is said: an epoch, but ten masks at least."""
        return max(1, min(self.training.horizon.per_epoch, (self.last - self.first) // 10))

    def prunes(self, step: int) -> bool:
        """Whether masks change before a step."""
        within = self.first <= step <= self.last
        return within and ((step - self.first) % self.every == 0 or step == self.last)

    def sparsity_at(self, step: int) -> float:
        """The share of weights that is zero from a step on, 0 to 1, of an unstructured target."""
        assert isinstance(self.target, TopK)
        return self.target.sparsity * cubic(step, self.first, self.last)

    def before_step(self, step: int) -> None:
        """See `Policy.before_step`."""
        if not self.prunes(step):
            return
        if isinstance(self.target, NOfM):  # a pattern is there or not
            if step == self.last:
                self.compress(self.target, self.net.prunable)
            return
        assert isinstance(self.target, TopK)
        sparsity = self.sparsity_at(step)
        if sparsity > 0:
            wanted = replace(self.target, sparsity=sparsity)
            self.prune(wanted, step)

    def prune(self, wanted: TopK, step: int) -> None:
        """Prune further; step numbers what is drawn for it."""
        del step
        self.compress(wanted, self.alive(self.net.prunable))

    def alive(self, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores whose order puts what is pruned already before everything else."""
        return alive_first(scores, self.net.masks)


def alive_first(scores: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scores that are zero where a mask is, and above elsewhere, in the order that they had."""
    found = {}
    for name, score in scores.items():
        sizes = score.detach().abs().clamp_min(torch.finfo(score.dtype).tiny)
        mask = masks.get(name)
        found[name] = sizes if mask is None else sizes * mask
    return found


def cubic(step: int, first: int, last: int) -> float:
    """How much of the way is done at a step, 0 to 1: fast at first, slow in the end."""
    if step >= last:
        return 1.0
    return 1 - (1 - max(step - first, 0) / (last - first)) ** 3
