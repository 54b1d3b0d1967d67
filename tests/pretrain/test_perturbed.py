"""Steps that look around the weights, against their definitions; and what is compressed in them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from edgetransfer.pretrain.policies.perturbed import Compressed
from tests.pretrain.nets import batch, policy, take


@pytest.mark.parametrize("sparse_gradients", [True, False])
@pytest.mark.parametrize("name", ["cram", "cram+", "c-sam", "top-k", "top-k+", "sam"])
def test_the_update_is_that_of_the_definition(name: str, sparse_gradients: bool) -> None:
    """Algorithm 2 of the thesis and its ablations, by hand with autograd on a copy."""
    given: dict[str, Any] = {"weight_decay": 0.0, "momentum": 0.0}
    if name != "sam":
        given |= {"sparsity": 0.6, "sparse_gradients": sparse_gradients}
    made, twin = policy(name, **given), policy("dense", weight_decay=0.0, momentum=0.0)
    net, data = twin.net, batch(0)
    theta = {n: p.detach().clone() for n, p in net.parameters.items()}
    names = list(theta)
    rho, rate = 0.05, twin.rate(0)

    def gradient(at: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        leaves = {n: w.clone().requires_grad_() for n, w in at.items()}
        net.module.train()
        with net.module.recomputing():
            loss = twin.training.loss(data, leaves)
        return dict(zip(names, torch.autograd.grad(loss, [leaves[n] for n in names]), strict=True))

    def compress(at: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        flat = torch.cat([at[n].abs().reshape(-1) for n in net.prunable])
        count = round(0.6 * flat.numel())
        threshold = flat.sort().values[count]
        masks = {n: at[n].abs() >= threshold for n in net.prunable}
        return {n: w * masks[n] if n in masks else w for n, w in at.items()}, masks

    def pruned_gradient(at: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        there, masks = compress(at)
        found = gradient(there)
        if not sparse_gradients:
            return found
        return {n: g * masks[n] if n in masks else g for n, g in found.items()}

    def up(g: dict[str, torch.Tensor], *, unit: bool) -> dict[str, torch.Tensor]:
        norm = math.sqrt(sum(float(v.square().sum()) for v in g.values())) if unit else 1.0
        return {n: theta[n] + rho * g[n] / norm for n in names}

    g = gradient(theta)
    if name == "sam":
        update = gradient(up(g, unit=True))
    elif name == "c-sam":
        update = pruned_gradient(up(pruned_gradient(theta), unit=True))
    elif name.startswith("top-k"):
        update = pruned_gradient(theta)
    else:
        update = pruned_gradient(up(g, unit=False))
    if name.endswith("+"):
        update = {n: update[n] + g[n] for n in names}
    take(made, 0)
    for n, parameter in made.net.parameters.items():
        expected = theta[n] - rate * update[n]
        assert torch.allclose(parameter.detach(), expected, atol=2e-6, rtol=1e-4), n


def test_what_is_compressed_is_drawn_evenly_and_by_the_seed() -> None:
    made = policy("cram+-multi", levels="50,70,2:4")
    assert isinstance(made, Compressed)
    drawn = [made.chosen(step) for step in range(600)]
    assert drawn == [made.chosen(step) for step in range(600)]
    assert min(np.bincount(drawn, minlength=3)) > 150


def test_masks_that_change_seldom_are_kept_for_so_many_steps() -> None:
    made = policy("cram+", sparsity=0.7, mask_every=3)
    assert isinstance(made, Compressed)
    seen = []
    for step in range(7):
        take(made, step)
        seen.append({n: m.clone() for n, m in made.known[0][1].items()})
    for step in range(1, 7):
        same = all(torch.equal(m, seen[step - 1][n]) for n, m in seen[step].items())
        assert same == (step % 3 != 0), step


def test_batchnorm_learns_from_the_dense_pass_alone() -> None:
    made, plain = policy("cram+", sparsity=0.9), policy("dense")
    for one in (made, plain):
        take(one, 0)
    statistics = [n for n in made.net.module.values if "running" in n]
    assert statistics
    for name in statistics:
        ours, theirs = made.net.module.tensor(name), plain.net.module.tensor(name)
        assert torch.equal(ours, theirs), name
