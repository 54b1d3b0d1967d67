"""Plans that were damaged are refused or run, and never crash."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgetransfer.native.compiling import why_absent
from tests.engines.fuzzing.damaged import ROUND, Damaging


@pytest.mark.slow
@pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_damaged_plans_are_refused_or_run_but_never_crash(tmp_path: Path) -> None:
    """`python -m tests.engines.fuzzing.damaged` damages any number of them."""
    damaging = Damaging(tmp_path)
    assert len(damaging.plans) > 30
    found = damaging.round(1)
    assert not found.said, found.said[-3000:]
    assert found.refused > ROUND / 5
    assert found.ran > ROUND / 50
