"""The inverse Fisher matrix both ways against numpy's, and what is pruned by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgetransfer.pretrain.compressions import TopK
from edgetransfer.pretrain.fisher import BlockFisher, MatrixFreeFisher
from edgetransfer.pretrain.policies.second_order import SecondOrder
from tests.pretrain.nets import kept, policy, take


def explicit(gradients: np.ndarray, damping: float) -> np.ndarray:
    m, n = gradients.shape
    return np.linalg.inv(damping * np.eye(n) + gradients.T @ gradients / m)


@pytest.mark.parametrize(("m", "n", "damping"), [(5, 12, 1e-2), (30, 12, 1e-3), (8, 50, 0.1)])
def test_both_equal_the_explicit_inverse(m: int, n: int, damping: float) -> None:
    rng = np.random.default_rng(m)
    gradients = rng.normal(size=(m, n))
    vector = rng.normal(size=n)
    wanted = explicit(gradients, damping)
    for made in (
        BlockFisher(torch.from_numpy(gradients), damping, n),
        MatrixFreeFisher(torch.from_numpy(gradients), damping),
    ):
        scale = np.abs(wanted).max()
        assert np.abs(made.diagonal().numpy() - np.diag(wanted)).max() < 1e-5 * scale
        product = made.times(torch.from_numpy(vector)).numpy()
        assert np.abs(product - wanted @ vector).max() < 1e-5 * np.abs(wanted @ vector).max()


def test_blocks_are_the_inverses_of_the_blocks() -> None:
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(6, 11))
    made = BlockFisher(torch.from_numpy(gradients), 0.05, 4)
    vector = rng.normal(size=11)
    wanted = np.zeros((11, 11))
    for begin in (0, 4, 8):
        part = slice(begin, min(begin + 4, 11))
        wanted[part, part] = explicit(gradients[:, part], 0.05)
    assert np.allclose(made.diagonal().numpy(), np.diag(wanted), rtol=1e-9)
    assert np.allclose(made.times(torch.from_numpy(vector)).numpy(), wanted @ vector, rtol=1e-9)


@pytest.mark.parametrize("name", ["woodfisher", "mfac"])
def test_scores_and_updates_are_those_of_the_surgeon(name: str) -> None:
    """Of the same gradients, with the whole inverse written out in float64."""
    whole = {"block": 10**6} if name == "woodfisher" else {}
    made = policy(name, fisher_samples=3, damping=1e-3, sparsity=0.5, **whole)
    assert isinstance(made, SecondOrder)
    for step in range(3):
        take(made, step)
    small = "head.weight"
    made.net.prunable = {small: made.net.prunable[small]}
    before = made.net.prunable[small].detach().clone().double().numpy().reshape(-1)
    gradients = made._gradients(9)[small].double().numpy()
    wanted = explicit(gradients, 1e-3)
    scores = before**2 / (2 * np.diag(wanted))
    pruned = np.argsort(scores, kind="stable")[: round(0.5 * len(before))]
    after = before.copy()
    for q in pruned:
        after -= before[q] * wanted[:, q] / wanted[q, q]
    after[pruned] = 0
    made.prune(TopK(sparsity=0.5), 9)
    found = made.net.prunable[small].detach().numpy().reshape(-1)
    assert set(np.flatnonzero(found == 0)) == set(pruned)
    assert np.abs(found - after).max() < 1e-5 * np.abs(after).max()


def test_it_is_gradual_and_ends_where_it_is_asked_to() -> None:
    made = policy("woodfisher", fisher_samples=2, sparsity=0.8, mask_every=13, block=20)
    for step in range(made.training.horizon.steps):
        take(made, step)
    masks = kept(made)
    zeros = sum(int((~mask).sum()) for mask in masks.values())
    assert zeros == round(0.8 * sum(mask.numel() for mask in masks.values()))
