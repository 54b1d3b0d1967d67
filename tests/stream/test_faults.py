"""Commands that change a run, killed before each call that changes the disk, and run again."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.heads import LinearHead
from edgetransfer.stream import export
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.journal import segments
from tests.stream.stream_children import Children
from tests.stream.stream_pictures import final_state

SETTINGS = {"keeping": {"checkpoint_seconds": 1e9, "checkpoints": 3}}


@pytest.fixture(scope="module")
def begun(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints at 0, 40 and 60 samples, and 10 samples in the journal alone."""
    folder = tmp_path_factory.mktemp("begun")
    run = folder / "run"
    for first, last in ((0, 40), (40, 60)):
        assert done(children, learning(run, first, last)) == 0
    order = learning(run, 60, 70)
    assert done(children, order) == 0
    CheckpointFolder(run / "checkpoints").names()[-1].unlink()  # as if killed before it
    return run


def learning(run: Path, first: int, last: int) -> dict[str, Any]:
    return {"call": "learn", "run": str(run), "pictures": [first, last], "settings": SETTINGS}


def done(children: Children, order: dict[str, Any], kill_at: int = 0) -> int:
    folder = Path(order["run"]).parent
    extra = {"kill_at": kill_at, "count": str(folder / "count"), "acks": str(folder / "acks")}
    children.start({**order, **extra})
    return children.status()


def calls(run: Path) -> int:
    return int((run.parent / "count").read_text())


def look(run: Path, out: Path) -> dict[str, Any]:
    """The state of a run, after it was seen that all that is derived from it agrees with it."""
    shutil.rmtree(out, ignore_errors=True)
    export(run, out)
    exported = LinearHead.load(out / "head.safetensors")
    own = LinearHead.load(run / "head.safetensors")
    assert own.weights.tobytes() == exported.weights.tobytes()
    assert (run / "labels.txt").read_text().splitlines() == list(own.classes)
    state = final_state(run)
    assert state["classes"] == list(own.classes)
    assert not list(run.glob(".*")), "something was left"
    assert not (run / "pending.json").exists()
    return state


def every_kill(
    children: Children, begun: Path, folder: Path, order: dict[str, Any], step: int = 1
) -> dict[str, Any]:
    """Kill the command at each call, repeat it, and compare with one that was not killed."""
    run = folder / "run"
    order = {**order, "run": str(run)}

    def fresh() -> None:
        shutil.rmtree(run, ignore_errors=True)
        (folder / "acks").unlink(missing_ok=True)
        shutil.copytree(begun, run)

    fresh()
    assert done(children, order) == 0
    expected = look(run, folder / "out")
    total = calls(run)
    assert total > 20
    for n in range(total, 0, -step):
        fresh()
        assert done(children, order, kill_at=n) == -signal.SIGKILL
        if order["call"] == "learn":
            acknowledged = (
                (folder / "acks").read_text().split() if (folder / "acks").exists() else []
            )
            assert done(children, {**order, "pictures": [0, 0]}) == 0
            known = final_state(run)["counts"]["accepted"]
            assert known >= order["pictures"][0] + len(acknowledged)
        assert done(children, order) == 0
        assert look(run, folder / "out") == expected, n
    fresh()
    done(children, order)
    return expected


FAST = 17  # of so many kills one is tried, each time


@pytest.fixture(params=[FAST, pytest.param(1, marks=pytest.mark.slow)])
def step(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_rollback(children: Children, begun: Path, tmp_path: Path, step: int) -> None:
    state = every_kill(children, begun, tmp_path, {"call": "rollback", "to": "50"}, step)
    assert state["counts"]["accepted"] == 50
    (aside,) = (tmp_path / "run" / "set-aside").iterdir()
    assert {p.name for p in aside.iterdir()} >= {"checkpoints", "journal", "ids.bin"}


def test_forget(children: Children, begun: Path, tmp_path: Path, step: int) -> None:
    order = {"call": "forget", "ids": ["n0"], "classes": ["dark"]}
    state = every_kill(children, begun, tmp_path, order, step)
    assert state["classes"] == ["red", "green", "blue"]
    run = tmp_path / "run"
    assert segments(run / "journal") == []
    assert len(CheckpointFolder(run / "checkpoints").names()) == 1


def test_start_and_learning(children: Children, begun: Path, tmp_path: Path, step: int) -> None:
    """Nothing that was acknowledged is lost, and nothing is learned twice."""
    state = every_kill(children, begun, tmp_path, learning(tmp_path / "run", 70, 74), step)
    assert state["counts"]["accepted"] == 74


def test_the_first_start(children: Children, tmp_path: Path, step: int) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    state = every_kill(children, nothing, tmp_path, learning(tmp_path / "run", 0, 12), step)
    assert state["counts"]["accepted"] == 12
