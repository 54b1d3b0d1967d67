"""Each policy against its definition, step by step on a tiny network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from edgetransfer.errors import DataError, UsageError
from edgetransfer.pretrain.compressions import TopK
from edgetransfer.pretrain.policies import KINDS
from edgetransfer.pretrain.policies.gradual import Gradual, cubic
from edgetransfer.pretrain.policies.lottery import LotteryTickets
from edgetransfer.pretrain.policies.rigl import RigL
from edgetransfer.pretrain.policies.thresholds import SoftThresholds, soft_threshold
from edgetransfer.settings.policies import POLICIES
from tests.pretrain.nets import (
    PER_EPOCH,
    batch,
    kept,
    policy,
    settings,
    take,
    total,
    training,
    zeros,
)

SMALL: dict[str, dict[str, Any]] = {
    "woodfisher": {"fisher_samples": 2, "mask_every": 20, "block": 20},
    "mfac": {"fisher_samples": 2, "mask_every": 20},
    "lth": {"rounds": 2},
}
ALL = pytest.mark.parametrize("name", list(POLICIES))


@ALL
def test_a_policy_goes_on_to_the_same_bits(name: str) -> None:
    """From its state in the middle, as without the interruption."""
    given = {"epochs": 2, **SMALL.get(name, {})}
    whole, first, second = (policy(name, **given) for _ in range(3))
    steps = whole.training.horizon.steps
    for step in range(steps):
        take(whole, step)
    for step in range(steps // 2 + 1):
        take(first, step)
    second.training.restore(first.training.state())
    second.restore(first.state())
    for step in range(steps // 2 + 1, steps):
        take(second, step)
    for one, other in ((whole.training, second.training), (whole, second)):
        ours, theirs = one.state(), other.state()
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert torch.equal(value, theirs[key]), key


def test_every_policy_that_is_named_is_there() -> None:
    assert set(KINDS) == set(POLICIES)


@pytest.mark.parametrize("distribution", ["global", "uniform", "erk"])
def test_gradual_pruning_has_the_sparsity_of_the_formula(distribution: str) -> None:
    made = policy("gmp", sparsity=0.8, distribution=distribution, mask_every=3)
    assert isinstance(made, Gradual)
    steps = made.training.horizon.steps
    first, last = round(0.1 * steps), round(0.75 * steps)
    before, wanted = kept(made), 0.0
    for step in range(steps):
        take(made, step)
        now = kept(made)
        changes = first <= step <= last and ((step - first) % 3 == 0 or step == last)
        if changes:
            wanted = 0.8 * (1 - (1 - (step - first) / (last - first)) ** 3)
        # Layer by layer, counts are rounded each.
        slack = 0.5 if distribution == "global" else len(now)
        assert abs(zeros(now) - wanted * total(now)) <= slack
        for name, mask in now.items():
            assert not (mask & ~before[name]).any(), "a pruned weight came back"
        if not changes:
            assert all(torch.equal(mask, before[name]) for name, mask in now.items())
        before = now
    assert cubic(last, first, last) == 1


def test_rigl_keeps_each_layers_count_and_grows_where_gradients_are_large() -> None:
    made = policy("rigl", sparsity=0.8, mask_every=5, drop_fraction=0.4)
    assert isinstance(made, RigL)
    wanted = made.target.pruned_counts(made.net.prunable)
    end = round(0.75 * made.training.horizon.steps)
    before: dict[str, torch.Tensor] = {}
    for step in range(made.training.horizon.steps):
        values = {n: w.detach().clone() for n, w in made.net.prunable.items()}
        made.net.module.train()
        made.before_step(step)
        if step == 0:
            values = {n: w.detach().clone() for n, w in made.net.prunable.items()}
        made.step(step, batch(step))
        masks = {name: mask.bool() for name, mask in made.net.masks.items()}
        for name, mask in masks.items():
            assert int((~mask).sum()) == wanted[name], "the count is constant"
        if step and step % 5 == 0 and step < end:
            share = 0.4 / 2 * (1 + math.cos(math.pi * step / end))
            for name, mask in masks.items():
                active = int(before[name].sum())
                moved = int(share * active)
                stayed = mask & before[name]
                gone = before[name] & ~mask
                assert int(gone.sum()) <= moved
                if gone.any():
                    smallest = values[name][stayed & (made.net.prunable[name] != 0)].abs().min()
                    assert values[name][gone].abs().max() <= smallest
                grown = mask & ~before[name]
                gradient = made.net.prunable[name].grad
                assert gradient is not None
                if grown.any():
                    left = gradient[~mask].abs().max()
                    assert gradient[grown].abs().min() >= left
                assert bool((made.net.prunable[name][grown] == 0).all())
        elif step:
            assert all(torch.equal(mask, before[name]) for name, mask in masks.items())
        before = masks


def test_the_gradient_of_a_soft_threshold_is_that_of_its_formula() -> None:
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(200, generator=rng, dtype=torch.float64, requires_grad=True)
    s = torch.tensor(-0.4, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(200, generator=rng, dtype=torch.float64)
    made = soft_threshold(weight, s)
    made.backward(upstream)
    g = 1 / (1 + math.exp(0.4))
    alive = weight.detach().abs() > g
    by_hand = torch.sign(weight.detach()) * (weight.detach().abs() - g).clamp_min(0)
    assert torch.allclose(made.detach(), by_hand)
    assert torch.allclose(weight.grad, upstream * alive)
    expected = -(upstream * torch.sign(weight.detach()) * alive).sum() * g * (1 - g)
    assert torch.allclose(s.grad, expected)
    assert torch.autograd.gradcheck(soft_threshold, (weight[:20].detach().requires_grad_(), s))


def test_thresholds_are_learned_and_end_in_the_weights() -> None:
    made = policy("str", weight_decay=0.02, threshold_start=-3.0)
    assert isinstance(made, SoftThresholds)
    for step in range(20):
        take(made, step)
    moved = [float(s.detach()) for s in made.thresholds.values()]
    assert all(value != -3.0 for value in moved)
    shown = {name: value.clone() for name, value in made.shown().items()}
    made.finish()
    for name, weight in made.net.prunable.items():
        assert torch.equal(weight.detach(), shown[name])
    assert made.net.sparsity > 0


def test_lottery_tickets_rewind_and_end_on_the_dense_weights() -> None:
    made = policy("lth", sparsity=0.75, rounds=2, epochs=12)
    assert isinstance(made, LotteryTickets)
    dense: dict[str, torch.Tensor] = {}
    for step in range(made.training.horizon.steps):
        if step == made.length:
            dense = {n: w.detach().clone() for n, w in made.net.prunable.items()}
        made.before_step(step)
        if step in (made.length, 2 * made.length):
            left = 0.25 ** (step / made.length / 2)
            pruned = sum(int((m == 0).sum()) for m in made.net.masks.values())
            assert abs(pruned - (1 - left) * total(kept(made))) <= 0.5
            for name, weight in made.net.prunable.items():
                early = made.early[name] * made.net.masks[name]
                assert torch.equal(weight.detach(), early)
            assert made.place(step)[0] == 0, "the learning rate begins anew"
        made.step(step, batch(step))
    masks = {name: mask.clone() for name, mask in made.net.masks.items()}
    made.finish()
    for name, weight in made.net.prunable.items():
        assert torch.equal(weight.detach(), dense[name] * masks[name])


def test_filters_lose_the_smallest_and_their_batchnorm() -> None:
    made = policy("filters", sparsity=0.5, prune_from=0.5)
    half = made.training.horizon.steps // 2
    for step in range(half):
        take(made, step)
    norms = {n: w.detach().abs().flatten(1).sum(1) for n, w in made.layers.items()}
    assert norms, "inner layers of blocks"
    assert all("conv1" in name for name in norms), "their outputs are added to nothing"
    for step in range(half, half + 3):
        take(made, step)
        for name, weight in made.layers.items():
            alive = weight.detach().flatten(1).any(dim=1)
            assert int((~alive).sum()) == len(alive) // 2
            assert norms[name][alive].min() >= norms[name][~alive].max()
            for part in made.net.layers[name].norm or ():
                assert bool((made.net.parameters[part][~alive] == 0).all())


def test_thresholding_a_quadratic_contracts_as_the_thesis_says() -> None:
    """Iterative hard thresholding on f = ½ ‖θ - θ*‖² under (k*, α)-smooth and strong convexity.

    With α = β = 1 a step of 1 lands on the sparse optimum at once; with β/α = 1.2 and k large
    enough the distance falls by a constant factor each step (thesis, 3.3.1 and A.1).
    """
    rng = np.random.default_rng(0)
    n, k_star, k = 400, 10, 200
    optimum = np.zeros(n)
    optimum[rng.choice(n, k_star, replace=False)] = rng.normal(0, 3, k_star)
    curvature = rng.uniform(1.0, 1.2, n)
    theta, top = rng.normal(0, 5, n), TopK(sparsity=1 - k / n)
    distances = []
    for _ in range(12):
        moved = theta - curvature * (theta - optimum) / 1.2
        kept, _ = top({"w": torch.from_numpy(moved)})
        theta = kept["w"].numpy()
        assert np.count_nonzero(theta) <= k
        distances.append(np.linalg.norm(theta - optimum))
    ratios = np.array(distances[1:]) / np.array(distances[:-1])
    # ‖θ' - θ*‖ ≤ sqrt(1 + k*/k …) (1 - α/β) ‖θ - θ*‖, below one half here.
    assert (ratios < 0.5).all()


UNREACHABLE = [
    ("gmp", {"sparsity": 0.999}, "each layer needs one"),
    ("acdc", {"sparsity": 0.99, "distribution": "uniform"}, "distribution global"),
    ("acdc", {"pattern": "3:7"}, "no layer"),
    ("cram+-multi", {"levels": "50,99.9"}, "--levels"),
    ("acdc", {"phases": "5,5,5,5,5", "epochs": 10}, "do not fit"),
    ("lth", {"rounds": 30, "epochs": 10}, "too few"),
]


@pytest.mark.parametrize(("name", "given", "said"), UNREACHABLE)
def test_what_cannot_be_reached_is_said_before_work_begins(
    name: str, given: dict[str, Any], said: str
) -> None:
    chosen = settings(name, **given)
    with pytest.raises(UsageError, match=said):
        policy(chosen.policy, **given)


def test_a_mask_that_cuts_the_image_off_is_refused_by_the_layers_name() -> None:
    made = policy("gmp", sparsity=0.5)
    stem = next(iter(made.net.prunable))
    scores = {n: torch.ones_like(w) for n, w in made.net.prunable.items()}
    scores[stem] = torch.zeros_like(scores[stem])
    share = scores[stem].numel() / total(kept(made))
    with pytest.raises(DataError, match=stem):
        made.compress(TopK(sparsity=share), scores)
    assert not made.net.masks, "nothing was pruned"
    inner = next(n for n in made.net.prunable if "conv2" in n)
    scores[stem], scores[inner] = torch.ones_like(scores[stem]), torch.zeros_like(scores[inner])
    made.compress(TopK(sparsity=scores[inner].numel() / total(kept(made))), scores)
    assert not made.net.prunable[inner].any(), "a shortcut leads around it"


def test_a_masked_step_moves_nothing_that_is_masked_even_with_momentum() -> None:
    made = policy("dense", weight_decay=0.1)
    for step in range(4):
        take(made, step)
    made.compress(TopK(sparsity=0.7), made.net.prunable)
    before = kept(made)
    for step in range(4, 9):
        take(made, step)
        assert all(torch.equal(mask, before[name]) for name, mask in kept(made).items())


def test_training_costs_are_counted_as_the_thesis_does() -> None:
    for name in POLICIES:
        made = policy(name, **SMALL.get(name, {}))
        full, active = 100.0, 10.0
        if name in ("dense", "gmp", "acdc", "woodfisher", "mfac", "lth"):
            assert made.cost(full, active) == 2 * active + full, "a dense phase: 2 F_D + F"
            made.net.masks = {"x": torch.ones(1)}
            assert made.cost(full, active) == 3 * active, "a sparse one: 3 F_C"
    assert PER_EPOCH == 4
    assert training(settings("dense")).horizon.steps == 40
