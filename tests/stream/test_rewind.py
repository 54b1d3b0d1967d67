"""Rolling back, forgetting and exporting."""

from __future__ import annotations

import threading
import unicodedata
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data.streams import Arrival
from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.heads import LinearHead
from edgetransfer.stream import OnlineLearner, export, forget, rollback, run_stream, saved_states
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.rewind import _end
from tests.stream.stream_pictures import (
    fake_feature_source,
    final_state,
    label_of,
    picture,
    settings_for,
)

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
    run_stream(
        settings_for("", run, keeping=EVERY),
        source=Listed(first, last),
        feature_source=fake_feature_source(),
    )


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
    with OnlineLearner(
        settings_for("", tmp_path / "run"), feature_source=fake_feature_source()
    ) as learner:
        assert next(iter(learner.predict(picture(100)))) == "red"
        assert learner.learn(picture(1), "green", id="n1").status == "duplicate"
        assert learner.learn(picture(3), "dark", id="new").status == "accepted"


def test_a_class_is_forgotten_however_its_name_is_typed(tmp_path: Path) -> None:
    with OnlineLearner(
        settings_for("", tmp_path / "run"), feature_source=fake_feature_source()
    ) as learner:
        for i in range(12):
            label = unicodedata.normalize("NFD", "caf\u00e9") if i % 2 else "tea"
            assert learner.learn(picture(i), label, id=f"n{i}").status == "accepted"
    typed = unicodedata.normalize("NFD", "caf\u00e9")
    result = forget(tmp_path / "run", ids=frozenset(), classes=frozenset([typed]))
    assert (result["removed"], result["classes"]) == (6, 1)


def test_a_class_that_was_never_learned(tmp_path: Path) -> None:
    learn(tmp_path / "run", 0, 16)
    with pytest.raises(UsageError, match="no class 'blu'"):
        forget(tmp_path / "run", ids=frozenset(), classes=frozenset(["blu"]))
    with pytest.raises(UsageError, match="what is to be forgotten"):
        forget(tmp_path / "run", ids=frozenset(), classes=frozenset())


def test_export_while_the_stream_runs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with OnlineLearner(settings_for("", run), feature_source=fake_feature_source()) as learner:
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


def learned(run: Path, groups: list[tuple[int, int]]) -> None:
    """A run with a checkpoint at its begin and after each group."""
    for first, last in groups:
        with OnlineLearner(
            settings_for("", run, keeping=RARE), feature_source=fake_feature_source()
        ) as learner:
            for i in range(first, last):
                learner.learn(picture(i), label_of(i), id=f"n{i}")


RARE = {"checkpoint_seconds": 1e9}


def test_back_to_a_number_between_checkpoints(tmp_path: Path) -> None:
    """The journal holds what lies between: nothing before the number leaves."""
    learned(tmp_path / "a", [(0, 48)])
    learned(tmp_path / "b", [(0, 76)])
    assert [s.accepted for s in saved_states(tmp_path / "b")] == [0, 76]
    back = rollback(tmp_path / "b", "48")
    assert (back.accepted, back.leaving) == (48, 28)
    assert final_state(tmp_path / "b") == final_state(tmp_path / "a")
    head = (tmp_path / "a" / "head.safetensors").read_bytes()
    assert (tmp_path / "b" / "head.safetensors").read_bytes() == head
    learned(tmp_path / "a", [(48, 60)])
    learned(tmp_path / "b", [(48, 60)])
    assert final_state(tmp_path / "b") == final_state(tmp_path / "a")
    for to in ("55", "20", "0"):  # and further back from there
        assert rollback(tmp_path / "b", to).accepted == int(to)
    assert not (tmp_path / "b" / "head.safetensors").exists()


def test_what_leaves_is_set_aside_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    learned(run, [(0, 30), (30, 60)])
    before = final_state(run)
    back = rollback(run, "40")
    assert back.aside is not None
    assert back.aside.parent == run / "set-aside"
    for path in back.aside.rglob("*"):  # by hand, it can all be had back
        if path.is_file():
            path.replace(run / path.relative_to(back.aside))
    learned(run, [(0, 0)])
    assert final_state(run) == before
    forget(run, ids=frozenset(["n0"]), classes=frozenset())
    assert not (run / "set-aside").exists()


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    learned(run, [(0, 30)])

    def content() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}

    before = content()
    back = rollback(run, "10", dry_run=True)
    assert (back.accepted, back.leaving, back.aside) == (10, 20, None)
    assert content() == before
    assert rollback(run, "1000").leaving == 0  # there is nothing to leave
    assert content() == before


def test_a_clock_that_was_set_back_makes_a_time_ambiguous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    clock = iter([100.0] * 11 + [5000.0] * 11 + [200.0] * 11 + [6000.0] * 1000)
    for module in ("durable", "kept"):
        monkeypatch.setattr(f"edgetransfer.stream.keeping.{module}.time", lambda: next(clock))
    learned(run, [(0, 40)])
    monkeypatch.undo()

    def at(seconds: float) -> str:
        return datetime.fromtimestamp(seconds).isoformat()

    for moment in (300, 4000):
        with pytest.raises(UsageError, match="clock was set back"):
            rollback(run, at(moment))
    assert rollback(run, at(150), dry_run=True).accepted == 10
    assert rollback(run, at(5500), dry_run=True).accepted == 32
    assert rollback(run, at(7000), dry_run=True).accepted == 40


def test_forgetting_may_be_repeated(tmp_path: Path) -> None:
    run = tmp_path / "run"
    learned(run, [(0, 24)])
    assert forget(run, ids=frozenset(), classes=frozenset(["dark"]))["removed"] == 6
    assert forget(run, ids=frozenset(), classes=frozenset(["dark"]))["removed"] == 0
    learned(run, [(100, 104)])
    assert forget(run, ids=frozenset(), classes=frozenset(["dark"]))["removed"] == 1


def test_export_before_the_first_checkpoint(tmp_path: Path) -> None:
    """What is exported is the run as it stands, not as it was a minute ago."""
    with OnlineLearner(
        settings_for("", tmp_path / "run", keeping=RARE), feature_source=fake_feature_source()
    ) as stream:
        for i in range(40):
            stream.learn(picture(i), label_of(i), id=f"n{i}")
        assert export(tmp_path / "run", tmp_path / "out")["learned"] == 40
        head = LinearHead.load(tmp_path / "out" / "head.safetensors")
        assert np.array_equal(head.weights, stream.durable.learner.head.weights)


def test_the_page_is_of_the_run_as_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    learn(run, 0, 40)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert all(f"<bdi>{label_of(i)}</bdi>" in page for i in range(4))
    assert "40 samples" in page
    learn(run, 40, 48)
    rollback(run, "40")
    assert not (run / "report.html").exists()
    learn(run, 40, 44)
    forget(run, ids=frozenset(), classes=frozenset([label_of(0)]))
    assert not (run / "report.html").exists()
    learn(run, 45, 48)
    assert f"<bdi>{label_of(0)}</bdi>" not in (run / "report.html").read_text(encoding="utf-8")


@given(
    st.lists(st.integers(0, 9), max_size=8),
    st.integers(-1, 10),
)
def test_a_time_is_one_place_or_is_refused(times: list[int], moment: int) -> None:
    """However the clock jumped: before the place all is earlier, behind it all is later."""
    places = [
        place
        for place in range(len(times) + 1)
        if all(t <= moment for t in times[:place]) and all(t > moment for t in times[place:])
    ]
    if places:
        assert [_end(times, float, moment, Path("run"))] == places
    else:
        with pytest.raises(UsageError, match="the clock was set back"):
            _end(times, float, moment, Path("run"))
