"""Each command that opens a model, with two hundred files that ask for terabytes; see `hostile`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.graphs.hostile import hostile
from tests.graphs.hostile.__main__ import COMMANDS

ENDINGS = (0, 2, 3, 4)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_graphs_end_in_a_sentence(command: str, tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "tests.graphs.hostile", command, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        cwd=Path(__file__).parents[2],
    )
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    names = list(hostile())
    assert len(names) >= 200
    assert child.returncode == 0, f"{names[len(lines)]}: {child.stderr[-2000:]}"
    assert [line["name"] for line in lines] == names
    for line in lines:
        assert line["code"] in ENDINGS, line
        # What is harmless is trained, measured or served.
        assert line["seconds"] < (5 if line["code"] else 30), line
        assert line["peak"] < 2**30, line
        assert "hold together" not in line["said"], line  # a check foresaw it
    assert sum(line["code"] == 3 for line in lines) > 200
