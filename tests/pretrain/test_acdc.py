"""AC/DC against its definition: phases, supports, momentum, patterns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgetransfer.pretrain.policies.acdc import ACDC, phases
from edgetransfer.pretrain.training import Horizon
from tests.pretrain.nets import batch, kept, policy, settings, take, total, zeros


def test_acdc_has_the_papers_phases_at_a_hundred_epochs_and_more() -> None:
    def starts(epochs: int, **given: Any) -> list[tuple[int, bool]]:
        chosen = settings("acdc", epochs=epochs, **given)
        horizon = Horizon(
            steps=chosen.n_epochs * 10,
            per_epoch=10,
            base_epochs=chosen.base_epochs,
            warm_up=0,
            highest=1,
        )
        return [(phase.first // 10, phase.compressed) for phase in phases(chosen, horizon)]

    alternating = [(10 + 5 * i, i % 2 == 0) for i in range(13)]
    assert starts(100) == [(0, False), *alternating, (75, False), (85, True)]
    dense = sum(
        (end - begin)
        for (begin, compressed), (end, _) in zip(
            starts(100), [*starts(100)[1:], (100, False)], strict=True
        )
        if not compressed
    )
    assert dense == 50, "as many dense epochs as sparse ones"
    longer = starts(100, stretch=2)
    assert longer[1:4] == [(10, True), (15, False), (20, True)], "phases are as long as before"
    assert longer[-1] == (185, True)


@pytest.mark.parametrize("distribution", ["global", "uniform"])
def test_acdc_changes_the_support_where_a_phase_begins_and_forgets_momentum(
    distribution: str,
) -> None:
    made = policy("acdc", sparsity=0.9, distribution=distribution, phases="1,2,1,2,2", epochs=10)
    assert isinstance(made, ACDC)
    begins = {phase.first: phase.compressed for phase in made.phases}
    assert [begins[key] for key in sorted(begins)] == [False, True, False, True, False, True][
        : len(begins)
    ]
    compressed, before = False, kept(made)
    for step in range(made.training.horizon.steps):
        made.before_step(step)
        if begins.get(step) is False and step:
            assert all(
                "momentum_buffer" not in made.training.optimiser.state[p]
                for p in made.net.parameters.values()
            )
        compressed = begins.get(step, compressed)
        made.step(step, batch(step))
        now = kept(made)
        if compressed:
            slack = 0.5 if distribution == "global" else len(now)
            assert abs(zeros(now) - 0.9 * total(now)) <= slack
            if step not in begins:
                assert all(torch.equal(mask, before[name]) for name, mask in now.items())
        else:
            assert not made.net.masks
        before = now
    assert compressed
    assert made.twin.keys() == made.net.values.keys()


def test_acdc_of_two_to_four_keeps_two_of_every_four_input_channels() -> None:
    made = policy("acdc", pattern="2:4", epochs=10)
    for step in range(made.training.horizon.steps):
        take(made, step)
    for name, weight in made.net.prunable.items():
        inputs = weight.shape[1]
        if inputs % 4:
            assert bool((weight != 0).all()), f"{name} does not divide"
            continue
        counts = (weight.detach() != 0).unflatten(1, (inputs // 4, 4)).sum(dim=2)
        assert bool((counts == 2).all()), name
