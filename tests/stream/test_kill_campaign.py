"""Kills in every phase; `kill_campaign` has what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stream.kill_campaign import AGAIN, LEARNING, Campaign
from tests.stream.stream_children import Children


def test_what_a_refused_command_said_is_kept(children: Children, tmp_path: Path) -> None:
    order = {"call": "rollback", "to": "3", "run": str(tmp_path / "none")}
    for run in ("none", "other"):
        files = {"run": str(tmp_path / run), "count": str(tmp_path / "count"), "kill_at": 0}
        children.start({**order, **files})
        assert children.status() == 1
        assert children.said().endswith(f"`edgetransfer train --out {tmp_path / run}` makes one")
        assert children.said().count("Traceback") == 1, "of the last one alone"


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
