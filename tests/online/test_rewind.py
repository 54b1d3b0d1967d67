"""Rolling back, forgetting and exporting."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from edgetransfer.data.streams import Arrival
from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.heads import LinearHead
from edgetransfer.online import OnlineLearner, export, forget, rollback, run_stream, saved_states
from edgetransfer.online.checkpoints import CheckpointFolder
from tests.online.stream_pictures import fake_eyes, final_state, label_of, picture, settings_for

EVERY = {"checkpoint_seconds": 0.0, "checkpoints": 100}


class Listed:
    """A source of pictures."""

    def __init__(self, first: int, last: int) -> None:
        self.range = range(first, last)

    def arrivals(self, stop: threading.Event, ledger: object):  # type: ignore[no-untyped-def]
        del stop, ledger
        for i in self.range:
            yield Arrival(id=f"n{i}", source=picture(i), label=label_of(i))


def learn(run: Path, first: int, last: int) -> None:
    run_stream(settings_for("", run, keeping=EVERY), source=Listed(first, last), eyes=fake_eyes())


def test_back_to_a_number(tmp_path: Path) -> None:
    learn(tmp_path / "a", 0, 40)
    learn(tmp_path / "b", 0, 40)
    learn(tmp_path / "b", 40, 80)
    state = rollback(tmp_path / "b", "40")
    assert state.accepted == 40
    assert final_state(tmp_path / "b")["arrays"] == final_state(tmp_path / "a")["arrays"]
    for run in ("a", "b"):  # what was dropped may be sent again
        learn(tmp_path / run, 40, 80)
    assert final_state(tmp_path / "b") == final_state(tmp_path / "a")


def test_back_to_a_time(tmp_path: Path) -> None:
    learn(tmp_path / "run", 0, 24)
    learn(tmp_path / "run", 24, 48)
    states = saved_states(tmp_path / "run")
    moment = datetime.fromtimestamp(states[-2].time).isoformat()
    assert rollback(tmp_path / "run", moment).accepted <= states[-2].accepted
    with pytest.raises(UsageError, match="no checkpoint at or before"):
        rollback(tmp_path / "run", "2001-01-01")
    with pytest.raises(UsageError, match="number of samples or a time"):
        rollback(tmp_path / "run", "yesterday")


def test_forgotten_samples_leave_no_trace_of_their_features(tmp_path: Path) -> None:
    learn(tmp_path / "run", 0, 48)
    result = forget(tmp_path / "run", ids=frozenset(["n0", "n1"]), classes=frozenset(["dark"]))
    assert result["removed"] == 12 + 2
    assert result["classes"] == 3
    assert len(CheckpointFolder(tmp_path / "run" / "checkpoints").names()) == 1
    assert list((tmp_path / "run" / "journal").glob("*.log")) == []
    with OnlineLearner(settings_for("", tmp_path / "run"), eyes=fake_eyes()) as learner:
        assert next(iter(learner.predict(picture(100)))) == "red"
        assert learner.learn(picture(1), "green", id="n1").status == "duplicate"
        assert learner.learn(picture(3), "dark", id="new").status == "accepted"


def test_a_class_that_was_never_learned(tmp_path: Path) -> None:
    learn(tmp_path / "run", 0, 16)
    with pytest.raises(UsageError, match="no class 'blu'"):
        forget(tmp_path / "run", ids=frozenset(), classes=frozenset(["blu"]))
    with pytest.raises(UsageError, match="what is to be forgotten"):
        forget(tmp_path / "run", ids=frozenset(), classes=frozenset())


def test_export_while_the_stream_runs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with OnlineLearner(settings_for("", run), eyes=fake_eyes()) as learner:
        for i in range(64):
            learner.learn(picture(i), label_of(i), id=f"n{i}")
        learner.durable.save()
        report = export(run, tmp_path / "out")
        with pytest.raises(RunFolderError, match="running here"):
            rollback(run, "0")
        with pytest.raises(RunFolderError, match="running here"):
            forget(run, ids=frozenset(["n0"]), classes=frozenset())
        head = LinearHead.load(tmp_path / "out" / "head.safetensors")
        assert np.array_equal(head.weights, learner.durable.learner.head.weights)
    assert report["learned"] == 64
    assert report["class_counts"] == dict.fromkeys(head.classes, 16)
    # The first eight of all came before there was a class to take them for.
    assert np.sum(report["confusion"]) == 64 - 8
    assert (tmp_path / "out" / "labels.txt").read_text().split() == list(head.classes)
    with pytest.raises(RunFolderError):
        export(run, tmp_path / "out")


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError):
        rollback(tmp_path / "none", "0")
    (tmp_path / "config.toml").write_text('backbone = "x"\n')
    with pytest.raises(RunFolderError, match="not the run of a stream"):
        export(tmp_path, tmp_path / "out")
