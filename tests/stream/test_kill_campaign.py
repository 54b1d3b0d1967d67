"""Kills in every phase; `kill_campaign` has what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stream.kill_campaign import AGAIN, SCENES, Campaign
from tests.stream.stream_children import Children


@pytest.mark.slow
def test_no_kill_of_any_phase_loses_or_repeats_anything(children: Children, tmp_path: Path) -> None:
    campaign = Campaign(children, tmp_path)
    faults = [fault for scene in SCENES for fault in campaign.kill(scene, 8)]
    assert faults == []
    for scene in SCENES:
        assert campaign.tallies[scene.name].kills >= 7
    assert campaign.tallies[AGAIN].kills > 2 * len(SCENES)
