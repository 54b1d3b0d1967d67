"""Kills in every phase; `kill_campaign` has what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stream.kill_campaign import AGAIN, LEARNING, Campaign
from tests.stream.stream_children import Children


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNING)
def test_no_kill_of_any_phase_loses_or_repeats_anything(
    children: Children, tmp_path: Path, learner: str
) -> None:
    campaign = Campaign(children, tmp_path, learner=learner)
    faults = [fault for scene in campaign.scenes for fault in campaign.kill(scene, 8)]
    assert faults == []
    for scene in campaign.scenes:
        assert campaign.tallies[scene.name].kills >= 6
    assert campaign.tallies[AGAIN].kills > 2 * len(campaign.scenes)
