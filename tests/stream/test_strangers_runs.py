"""Run folders from strangers: nothing leads out of them, and nothing is taken on trust."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.errors import EdgeTransferError, RunFolderError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_entries import FOLDERS, NAMES
from edgetransfer.sealing import sealed
from edgetransfer.stream import OnlineLearner, check, export, forget, rollback
from edgetransfer.stream.keeping.checkpoints import Checkpoint, CheckpointFolder, read_checkpoint
from edgetransfer.stream.learning.learner_state import LearnerState
from tests.stream.stream_pictures import (
    fake_feature_source,
    final_state,
    label_of,
    picture,
    settings_for,
)

RARE = {"checkpoint_seconds": 1e9}
LEARNING = {"refit_every": 16, "batch_size": 8, "reservoir_bytes": 1500}


def start(run: Path) -> None:
    settings = settings_for("", run, keeping=RARE, learning=LEARNING)
    with OnlineLearner(settings, feature_source=fake_feature_source()) as learner:
        learner.learn(picture(900), "red", id="more")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in the midst of a refit, with samples that wait and some without a label."""
    path = tmp_path_factory.mktemp("stranger") / "run"
    settings = settings_for("", path, keeping=RARE, learning=LEARNING)
    learner = OnlineLearner(settings, feature_source=fake_feature_source())
    for i in range(27):
        learner.learn(picture(i), None if i % 9 == 3 else label_of(i), id=f"n{i}")
    learner.durable.save()
    learner.close()
    return path


def copied(run: Path, folder: Path) -> Path:
    shutil.rmtree(folder / "copy", ignore_errors=True)
    return Path(shutil.copytree(run, folder / "copy"))


COMMANDS = {
    "start": start,
    "check": check,
    "rollback": lambda run: rollback(run, "10"),
    "forget": lambda run: forget(run, ids=frozenset(["n0"]), classes=frozenset()),
    "export": lambda run: export(run, run.parent / "out"),
}


@pytest.mark.parametrize(
    ("command", "kind"),
    [("start", kind) for kind in ("link", "dangling", "pipe", "other")]
    + [(command, "link") for command in COMMANDS if command != "start"],
)
def test_links_and_pipes_are_refused(run: Path, tmp_path: Path, kind: str, command: str) -> None:
    outside = tmp_path / "outside"
    for name in sorted(NAMES | FOLDERS):
        copy = copied(run, tmp_path)
        outside.mkdir(exist_ok=True)
        (outside / "file").write_text("mine")
        path = copy / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if kind == "link":
            path.symlink_to(outside if name in FOLDERS else outside / "file")
        elif kind == "dangling":
            path.symlink_to(outside / "new")
        elif kind == "pipe":
            os.mkfifo(path)
        elif name in FOLDERS:
            path.write_text("")
        else:
            path.mkdir()
        with pytest.raises(RunFolderError):
            COMMANDS[command](copy)
        assert [p.name for p in outside.iterdir()] == ["file"]
        assert (outside / "file").read_text() == "mine"


def test_a_link_within_its_folders_is_refused(run: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    for name in ("journal/00000000000000000000.log", "checkpoints/x.safetensors"):
        copy = copied(run, tmp_path)
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to(secret)
        with pytest.raises(RunFolderError, match="is a link"):
            RunFolder.open(copy)


@pytest.mark.parametrize(
    "name", ["../out", "/etc/x", "a/../../x", "journal/../../x", ".hidden", "a/b/c", "", "a\n"]
)
def test_a_pending_change_leads_nowhere_else(run: Path, tmp_path: Path, name: str) -> None:
    from edgetransfer.runs.pending import Change, _encoded

    copy = copied(run, tmp_path)
    for change in (
        Change(what="x", replace=(name,), remove=(), aside="x"),
        Change(what="x", replace=(), remove=(name,), aside="x"),
        Change(what="x", replace=(), remove=(), aside=name),
    ):
        (copy / "pending.json").write_bytes(_encoded(change))
        with pytest.raises(EdgeTransferError, match=r"pending\.json"):
            start(copy)


def hostile_arrays(array: np.ndarray) -> list[np.ndarray]:
    changed = [array.astype(np.float64), array.reshape(-1)[:0], array[None], array.astype(np.bool_)]
    if array.dtype.kind in "iu" and array.size:
        for value in (-1, 2, 2**15, -(2**31), 2**31 - 1):
            other = array.copy()
            other.reshape(-1)[-1] = np.array(value).astype(array.dtype)
            changed.append(other)
    if array.size:
        changed.append(np.concatenate([array, array], axis=0))
        changed.append(array[:-1].copy())
    return changed


def refused_or_of_use(
    run: Path, folder: Path, content: bytes, begin: Callable[[Path], None] = start
) -> None:
    """A checkpoint is refused in words; or it goes on, and what it writes can be read again."""
    copy = copied(run, folder)
    newest = CheckpointFolder(copy / "checkpoints").names()[-1]
    for path in CheckpointFolder(copy / "checkpoints").names():
        path.unlink()
    shutil.rmtree(copy / "journal")
    newest.write_bytes(content)
    refusal = ""
    try:
        begin(copy)
    except EdgeTransferError as error:
        refusal = str(error)
    if refusal:
        assert str(copy) in refusal
        return
    assert final_state(copy)["counts"]["accepted"] >= 1
    begin(copy)


@pytest.fixture(scope="module")
def checkpoint(run: Path) -> Checkpoint:
    found = read_checkpoint(CheckpointFolder(run / "checkpoints").names()[-1])
    assert found is not None
    assert {"refit.weights", "waiting.rows", "pool.rows"} <= set(found.state.arrays)
    return found


@pytest.fixture(params=[12, pytest.param(1, marks=pytest.mark.slow)])
def step(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def with_hostile_arrays(checkpoint: Checkpoint) -> list[bytes]:
    arrays, values = checkpoint.state.arrays, checkpoint.state.values
    cases = []
    for name, array in arrays.items():
        cases.append({key: value for key, value in arrays.items() if key != name})
        cases += [{**arrays, name: changed} for changed in hostile_arrays(array)]
    states = [LearnerState(arrays=changed, values=values) for changed in cases]
    return [b"".join(Checkpoint(state=s, run=checkpoint.run).encoded()) for s in states]


def test_arrays_of_any_kind(run: Path, checkpoint: Checkpoint, tmp_path: Path, step: int) -> None:
    for content in with_hostile_arrays(checkpoint)[::step]:
        refused_or_of_use(run, tmp_path, content)


ODD = (None, -1, 10**30, 1.5, "x", "\x1b[2J", [], {}, ["a"], True)


def with_hostile_values(checkpoint: Checkpoint) -> list[bytes]:
    given = {"values": checkpoint.state.values, "run": checkpoint.run}

    def places(value: Any) -> list[tuple[Any, ...]]:
        if not isinstance(value, dict):
            return [()]
        return [(), *((key, *rest) for key in value for rest in places(value[key]))]

    cases = [(place, odd) for place in places(given)[1:] for odd in ODD]
    contents = []
    for place, odd in cases:
        changed = json.loads(json.dumps(given))
        at = changed
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = odd
        metadata = {"format": "edgetransfer-stream-2"}
        metadata |= {key: json.dumps(value) for key, value in changed.items()}
        contents.append(sealed(checkpoint.state.arrays, metadata))
    return contents


def test_values_of_any_kind(run: Path, checkpoint: Checkpoint, tmp_path: Path, step: int) -> None:
    for content in with_hostile_values(checkpoint)[::step]:
        refused_or_of_use(run, tmp_path, content)


def start_statistics(run: Path) -> None:
    settings = settings_for("", run, keeping=RARE, learning={"learner": "statistics"})
    with OnlineLearner(settings, feature_source=fake_feature_source()) as learner:
        learner.learn(picture(900), "red", id="more")


def test_statistics_of_any_kind(tmp_path: Path, step: int) -> None:
    run = tmp_path / "run"
    settings = settings_for("", run, keeping=RARE, learning={"learner": "statistics"})
    learner = OnlineLearner(settings, feature_source=fake_feature_source())
    for i in range(27):
        learner.learn(picture(i), None if i % 9 == 3 else label_of(i), id=f"n{i}")
    learner.durable.relabel(["n1"], "blue")
    learner.durable.save()
    learner.close()
    found = read_checkpoint(CheckpointFolder(run / "checkpoints").names()[-1])
    assert found is not None
    assert {"statistics.gram", "kept.rows", "pool.rows"} <= set(found.state.arrays)
    for content in [*with_hostile_arrays(found), *with_hostile_values(found)][:: 6 * step]:
        refused_or_of_use(run, tmp_path, content, start_statistics)
