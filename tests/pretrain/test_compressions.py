"""Exact counts whatever the values, blocks, and rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.pretrain.compressions import NOfM, Rounding, TopK, largest
from edgetransfer.pretrain.network import WeightedLayer
from edgetransfer.settings.sparsify import Pattern


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0, 1))
def test_counts_are_exact_among_equal_magnitudes(values: list[int], share: float) -> None:
    """And the earlier of equal ones go first: a stable sort says which."""
    sizes = torch.tensor(values, dtype=torch.float32)
    pruned = round(share * len(values))
    gone = set(np.argsort(values, kind="stable")[:pruned].tolist())
    assert set((~largest(sizes, pruned)).nonzero().view(-1).tolist()) == gone


@given(st.floats(0, 0.99), st.sampled_from(["global", "uniform", "erk"]), st.integers(0, 9))
def test_the_largest_stay_in_all_layers_or_in_each(share: float, spread: str, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    shapes = {"a": (8, 3, 3, 3), "b": (16, 8, 1, 1), "c": (5, 16)}
    weights = {name: torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    compressed, masks = TopK(sparsity=share, distribution=spread)(weights)  # type: ignore[arg-type]
    for name, weight in weights.items():
        assert torch.equal(compressed[name], weight * masks[name])
    if spread == "global":
        gone = torch.cat([w[~masks[n]].abs() for n, w in weights.items()])
        stay = torch.cat([w[masks[n]].abs() for n, w in weights.items()])
        assert len(gone) == round(share * sum(w.numel() for w in weights.values()))
        assert not len(gone) or gone.max() <= stay.min()
    elif spread == "uniform":
        for name, weight in weights.items():
            assert int((~masks[name]).sum()) == round(share * weight.numel())


@pytest.mark.parametrize(("shape", "axis"), [((6, 8, 3, 3), 1), ((5, 12), 1), ((12, 5), 0)])
@pytest.mark.parametrize(("keep", "block"), [(2, 4), (1, 4)])
def test_n_of_m_stay_along_the_input_channels(
    shape: tuple[int, ...], axis: int, keep: int, block: int
) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    made = NOfM(
        pattern=Pattern(keep=keep, block=block),
        layers={"w": WeightedLayer(positions=1, input_axis=axis, output_axis=1 - axis)},
    )
    compressed, masks = made({"w": weight})
    rows = weight.movedim(axis, -1).reshape(-1, block).abs()
    left = compressed["w"].movedim(axis, -1).reshape(-1, block)
    assert bool(((left != 0).sum(dim=1) == keep).all())
    smallest = torch.where(left != 0, rows, torch.inf).min(dim=1).values
    largest_gone = torch.where(left == 0, rows, -1.0).max(dim=1).values
    assert bool((largest_gone <= smallest).all())
    assert bool(masks["w"].any())


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounding_has_so_many_levels_a_channel_and_is_nearest(bits: int) -> None:
    weight = torch.randn((6, 4, 3, 3), generator=torch.Generator().manual_seed(2))
    weight[3] = 0
    made = Rounding(bits=bits, layers={"w": WeightedLayer(positions=1)})
    rounded, masks = made({"w": weight})
    assert masks is None
    most = 2 ** (bits - 1) - 1
    for channel in range(6):
        values, wanted = rounded["w"][channel], weight[channel]
        step = float(wanted.abs().max()) / most
        assert len(values.unique()) <= 2 * most + 1
        assert float((values - wanted).abs().max()) <= step / 2 + 1e-6
