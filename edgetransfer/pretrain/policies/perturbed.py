"""SAM and the compression-aware minimiser with its kin, whose gradient is taken elsewhere.

SAM: Foret et al., "Sharpness-Aware Minimization", ICLR 2021. CrAM: Peste et al., "CrAM: A
Compression-Aware Minimizer", ICLR 2023; thesis 5.3 (algorithm 2) and the ablations of 5.6.2:

    sam     θ' = θ + ρ g / ‖g‖                          θ -= η ∇L(θ')
    cram    θ' = C(θ + ρ g)                             θ -= η G(θ')
    cram+   the same                                    θ -= η (G(θ') + g)
    c-sam   θ' = C(θ + ρ h / ‖h‖),  h = G(C(θ))         θ -= η G(θ')
    top-k   θ' = C(θ)                                   θ -= η G(θ')
    top-k+  the same                                    θ -= η (G(θ') + g)

g = ∇L(θ); G(θ') = ∇L(θ'), or M ∇L(θ') with ``sparse_gradients``, M being what C kept. C is drawn
each step among ``levels`` by the seed and the step. ``mask_every`` keeps the mask of each level for
so many steps. Weights stay dense; batch-norm learns its statistics where the dense network runs
(for c-sam, which never runs it, where C(θ) does). All is to be pruned afterwards in one shot, with
batch-norm tuned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from edgetransfer.pretrain.compressions import (
    Compression,
    Masks,
    NOfM,
    Rounding,
    TopK,
    check_reachable,
)
from edgetransfer.pretrain.network import Tensors
from edgetransfer.pretrain.objectives import Batch
from edgetransfer.pretrain.policies.policy import Policy, target_of
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.policy_options import levels_of
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.settings.sparsify import Pattern

ASCENDING = frozenset(["cram", "cram+", "cram+-multi"])
WITH_DENSE = frozenset(["cram+", "cram+-multi", "top-k+"])


class Sam(Policy):
    """Sharpness-aware minimisation."""

    def step(self, step: int, batch: Batch) -> float:
        """See `Policy.step`."""
        loss = self.training.gradients(batch)
        up = _times(self.gradients(), self.settings.option("rho"), normalised=True)
        with self.net.holding(_sum(self.net.parameters, up)):
            self.training.gradients(batch)
        self.training.descend(self.rate(step))
        return loss

    def gradients(self) -> dict[str, Tensor]:
        """Those that stand in the parameters, copied."""
        return {
            name: parameter.grad.detach().clone()
            for name, parameter in self.net.parameters.items()
            if parameter.grad is not None
        }

    def phase(self, step: int) -> str:
        """See `Policy.phase`."""
        return "dense"

    def cost(self, full: float, active: float) -> float:
        """See `Policy.cost`."""
        return 2 * super().cost(full, active)


class Compressed(Sam):
    """CrAM, CrAM+ and their ablations."""

    def __init__(self, settings: Pretraining, training: Training) -> None:
        super().__init__(settings, training)
        self.compressions = compressions_of(settings, training)
        self.sparse_gradients: bool = settings.option("sparse_gradients")
        self.every: int = settings.option("mask_every")
        self.known: dict[int, tuple[int, Masks]] = {}
        self._kept = 1.0

    def chosen(self, step: int) -> int:
        """Which compression a step draws: a function of the seed and the step alone."""
        drawn = np.random.default_rng((self.settings.seed, step, 2))
        return int(drawn.integers(len(self.compressions)))

    def step(self, step: int, batch: Batch) -> float:
        """See `Policy.step`."""
        policy, index = self.settings.policy, self.chosen(step)
        own: dict[str, Tensor] = {}
        if policy == "c-sam":
            loss = self._at(index, step, dict(self.net.parameters), batch, learns=True)
            up = _times(self.gradients(), self.settings.option("rho"), normalised=True)
            self._at(index, step, _sum(self.net.parameters, up), batch)
        elif policy == "top-k":
            loss = self._at(index, step, dict(self.net.parameters), batch, learns=True)
        else:
            loss = self.training.gradients(batch)
            own = self.gradients()
            up = _times(own, self.settings.option("rho") if policy in ASCENDING else 0.0)
            self._at(index, step, _sum(self.net.parameters, up), batch)
        if policy in WITH_DENSE:
            for name, gradient in own.items():
                parameter = self.net.parameters[name]
                assert parameter.grad is not None
                parameter.grad += gradient
        self.training.descend(self.rate(step))
        return loss

    def _at(
        self,
        index: int,
        step: int,
        weights: Mapping[str, Tensor],
        batch: Batch,
        *,
        learns: bool = False,
    ) -> float:
        """Leave in the parameters the gradient G at compressed weights; returns the loss there."""
        with torch.no_grad():
            subject = {name: weights[name] for name in self.net.prunable}
            compressed, masks = self._compressed(index, step, subject)
            there = {name: w.detach() for name, w in weights.items()} | compressed
        if learns:
            loss = self._gradients_learning(there, batch)
        else:
            with self.net.holding(there):
                loss = self.training.gradients(batch)
        if masks is not None:
            kept = sum(int(mask.sum()) for mask in masks.values())
            self._kept = kept / max(sum(mask.numel() for mask in masks.values()), 1)
            if self.sparse_gradients:
                for name, mask in masks.items():
                    gradient = self.net.parameters[name].grad
                    assert gradient is not None
                    gradient.mul_(mask)
        return loss

    def _gradients_learning(self, weights: Mapping[str, Tensor], batch: Batch) -> float:
        """As `Training.gradients` at other weights, in a pass that batch-norm learns from."""
        leaves = {n: w.detach().clone().requires_grad_() for n, w in weights.items()}
        self.training.optimiser.zero_grad(set_to_none=True)
        loss = self.training.loss(batch, leaves)
        loss.backward()
        for name, leaf in leaves.items():
            self.net.parameters[name].grad = leaf.grad
        return loss.item()

    def _compressed(
        self, index: int, step: int, weights: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], Masks | None]:
        """C of weights, under a mask that is ``mask_every`` steps old at most."""
        compression = self.compressions[index]
        since, masks = self.known.get(index, (-self.every, {}))
        if self.every > 1 and masks and step - since < self.every:
            return {n: w * masks[n] if n in masks else w for n, w in weights.items()}, masks
        compressed, found = compression(weights)
        if found is not None and self.every > 1:
            self.known[index] = (step, found)
        return compressed, found

    def cost(self, full: float, active: float) -> float:
        """See `Policy.cost`: a dense pass, and one of what the compression kept."""
        sparse = 3 if self.sparse_gradients else 2
        second = sparse * self._kept * full + (3 - sparse) * full
        policy = self.settings.policy
        first = second if policy in ("c-sam", "top-k") else 2 * active + full
        return first + (0 if policy == "top-k" else second)

    def state(self) -> Tensors:
        """See `Policy.state`."""
        found: Tensors = {"kept": torch.tensor(self._kept, dtype=torch.float64)}
        for index, (since, masks) in self.known.items():
            found[f"since/{index}"] = torch.tensor(since)
            found |= {f"known/{index}/{n}": m.cpu().contiguous() for n, m in masks.items()}
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See `Policy.restore`."""
        self._kept = float(state["kept"])
        for key, since in state.items():
            if key.startswith("since/"):
                index = int(key.removeprefix("since/"))
                start = f"known/{index}/"
                masks = {
                    n.removeprefix(start): m.to(self.net.device)
                    for n, m in state.items()
                    if n.startswith(start)
                }
                self.known[index] = (int(since), masks)


def compressions_of(settings: Pretraining, training: Training) -> tuple[Compression, ...]:
    """What a step draws from."""
    layers = training.net.layers
    bits = settings.option("bits")
    if bits is not None:
        return (Rounding(bits=bits, layers=layers),)
    # A sparsity or pattern that was given takes the place of usual levels.
    given = settings.sparsity is not None or settings.pattern is not None
    levels = settings.levels if given else settings.option("levels")
    if levels is None:
        return (target_of(settings, training),)
    distribution = settings.option("distribution")
    found = tuple(
        NOfM(pattern=level, layers=layers)
        if isinstance(level, Pattern)
        else TopK(sparsity=level, distribution=distribution)
        for level in levels_of(levels)
    )
    for compression in found:
        check_reachable(compression, training.net.prunable, flag="--levels")
    return found


def _sum(weights: Mapping[str, Tensor], up: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: w.detach() + up[n] if n in up else w.detach() for n, w in weights.items()}


def _times(
    gradients: Mapping[str, Tensor], length: float, *, normalised: bool = False
) -> dict[str, Tensor]:
    """Gradients times a number, or of that length all together."""
    if normalised:
        norm = torch.stack([g.norm() for g in gradients.values()]).norm()
        return {name: g * (length / (norm + 1e-12)) for name, g in gradients.items()}
    return {name: g * length for name, g in gradients.items()}
