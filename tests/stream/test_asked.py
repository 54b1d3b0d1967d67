"""`forget` and `relabel` of a stream that is running: done by it, as of one that is stopped."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from edgetransfer.data.streams import Arrival, Ledger
from edgetransfer.errors import EdgeTransferError, OwnedError, UsageError
from edgetransfer.runs.asking import FOLDER
from edgetransfer.stream import OnlineLearner, check, forget, relabel, run_stream
from edgetransfer.stream.asked import AskedChanges
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.stream.test_corrections import coded
from tests.stream.test_statistics_learner import by_name

N = 24
LEARNING = {"learner": "statistics"}


class Pictures:
    """Yields some pictures at once, the last of all only when it is told to."""

    def __init__(self, numbers: list[int], *, last: Event | None = None) -> None:
        self._numbers = numbers
        self._last = last
        self.taken = Event()
        self._left = len(numbers)

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        for place, i in enumerate(self._numbers):
            if self._last is not None and place == len(self._numbers) - 1:
                self._last.wait()
            yield Arrival(id=f"n{i}", source=picture(i), label=label_of(i), reply=self._reply)

    def _reply(self, _: Any) -> None:
        self._left -= 1
        if self._left <= 1:
            self.taken.set()


class Running:
    """A stream in a thread of its own, which has taken in all but its last picture."""

    def __init__(self, run: Path, numbers: list[int], learner: str = "statistics") -> None:
        self._last = Event()
        source = Pictures(numbers, last=self._last)
        settings = settings_for("jsonl:-", run, learning={"learner": learner})
        self._thread = Thread(
            target=run_stream,
            args=(settings,),
            kwargs={"source": source, "feature_source": fake_feature_source()},
        )
        self._thread.start()
        assert source.taken.wait(60)

    def end(self) -> None:
        self._last.set()
        self._thread.join()


def learned(run: Path) -> dict[str, Any]:
    with OnlineLearner(
        settings_for("jsonl:-", run, learning=LEARNING), feature_source=fake_feature_source()
    ) as there:
        return by_name(there.durable.learner)  # type: ignore[arg-type]


def streamed(run: Path, numbers: list[int]) -> dict[str, Any]:
    settings = settings_for("jsonl:-", run, learning=LEARNING)
    run_stream(settings, source=Pictures(numbers), feature_source=fake_feature_source())
    return learned(run)


def test_samples_and_classes_leave_a_running_stream(tmp_path: Path) -> None:
    run = tmp_path / "run"
    running = Running(run, list(range(N)))
    try:
        report = forget(run, ids=frozenset(["n1", "n5", "no"]), classes=frozenset(["red"]))
        again = forget(run, ids=frozenset(["n1"]), classes=frozenset(["red"]))
        with pytest.raises(UsageError, match="no class 'pink'"):
            forget(run, ids=frozenset(), classes=frozenset(["pink"]))
        moved = relabel(run, ["n2", "n6", "n3", "never"], "dark")
    finally:
        running.end()
    assert (report["removed"], report["classes"]) == (8, 3)
    assert (again["removed"], again["class_counts"]) == (0, {"green": 4, "blue": 6, "dark": 5})
    assert (moved["changed"], moved["unchanged"], list(moved["refused"])) == (2, 1, ["never"])
    assert check(run).findings == ()
    assert not (run / FOLDER).exists()
    there = learned(run)
    kept = [i for i in range(N) if label_of(i) != "red" and i not in (1, 5)]
    never = streamed(tmp_path / "never", kept)
    assert there["gram"] == never["gram"]
    assert there["by_class"] == {"blue": 4, "dark": 8, "green": 4}
    for path in run.rglob("*"):
        for name in ("n1", "n5", *(f"n{i}" for i in range(N) if label_of(i) == "red")):
            assert not path.is_file() or f'"{name}"'.encode() not in path.read_bytes()
    with pytest.raises(UsageError, match="no class 'pink'"):
        forget(run, ids=frozenset(), classes=frozenset(["pink"]))  # the same of a stopped one
    assert forget(run, ids=frozenset(), classes=frozenset(["red"]))["removed"] == 0


def test_what_was_asked_of_a_killed_stream_is_done_by_its_next_start(tmp_path: Path) -> None:
    """Before or after it had been done, whoever asked was killed too."""
    run = tmp_path / "run"
    streamed(run, list(range(N)))
    request = {"do": "forget", "ids": ["n2"], "classes": ["red"]}
    for already in (False, True):
        if already:
            forget(run, ids=frozenset(["n2"]), classes=frozenset(["red"]))
        (run / FOLDER).mkdir(exist_ok=True)
        (run / FOLDER / "0.json").write_text(json.dumps(request))
        running = Running(run, [101 + 4 * already, 102 + 4 * already])
        running.end()
        assert json.loads((run / FOLDER / "0.answer").read_text())["removed"] == 7 * (not already)
        (run / FOLDER / "0.answer").unlink()
    kept = [i for i in range(N) if label_of(i) != "red" and i != 2]
    assert learned(run) == streamed(tmp_path / "never", [*kept, 101, 102, 105, 106])


def test_who_cannot_be_asked_is_named(tmp_path: Path) -> None:
    """A notebook's learner does nothing by itself; one by replay cannot forget while it runs."""
    run = tmp_path / "run"
    with OnlineLearner(
        settings_for("jsonl:-", run, learning=LEARNING), feature_source=fake_feature_source()
    ) as there:
        there.learn(picture(0), "a", id="n0")
        with pytest.raises(OwnedError, match="is running here"):
            forget(run, ids=frozenset(["n0"]), classes=frozenset())
    running = Running(tmp_path / "steps", list(range(N)), "replay")
    try:
        for ask in (
            lambda: forget(tmp_path / "steps", ids=frozenset(["n0"]), classes=frozenset()),
            lambda: relabel(tmp_path / "steps", ["n0"], "a"),
        ):
            with pytest.raises(UsageError, match="stop it for `edgetransfer forget`"):
                ask()
    finally:
        running.end()


@pytest.mark.parametrize(
    "request_",
    [{}, {"do": "forget"}, {"do": "forget", "ids": ["a"], "classes": "b"}, {"do": "relabel"},
     {"do": "relabel", "ids": ["n1"], "label": 3}, {"do": "relabel", "ids": [1], "label": "a"},
     {"do": "relabel", "ids": ["n1"], "label": ""}, {"do": "new", "ids": []}],
    ids=str,
)  # fmt: skip
def test_what_no_version_asks_changes_nothing(tmp_path: Path, request_: dict[str, Any]) -> None:
    from edgetransfer.stream.asked import do_asked

    with OnlineLearner(
        settings_for("jsonl:-", tmp_path / "run", learning=LEARNING),
        feature_source=fake_feature_source(),
    ) as there:
        for i in range(4):
            there.learn(picture(i), label_of(i), id=f"n{i}")
        before = there.durable.position
        with pytest.raises(EdgeTransferError):
            do_asked(there.durable, request_)
        assert there.durable.position == before


def test_a_full_disk_is_an_answer_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgetransfer.runs import asking

    full = OSError(errno.ENOSPC, "no room")

    def no_room(*_: object) -> Any:
        raise full

    settings = settings_for("jsonl:-", tmp_path / "run", learning=LEARNING)
    with OnlineLearner(settings, feature_source=fake_feature_source()) as there:
        folder = tmp_path / "run" / FOLDER
        folder.mkdir()
        (folder / "0.json").write_text("{}")
        asked = AskedChanges(there, no_room)
        assert asked.due()
        assert not asked.due()  # it is in hand
        with monkeypatch.context() as patched:
            patched.setattr(asking, "write_atomically", no_room)
            asked.do()
        assert (folder / "0.json").exists()  # there was no room for the answer
        asked.do()
        assert "the disk is full" in json.loads((folder / "0.answer").read_text())["error"]
        assert not (folder / "0.json").exists()


def test_a_class_is_forgotten_by_a_line(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        *({"id": f"n{i}", "base64": coded(i), "label": label_of(i)} for i in range(N)),
        {"class": "red", "forget": True},
        {"class": "red", "forget": True},
        {"class": "pink", "forget": True},
        {"class": "green"},
        {"class": "green", "relabel": True},
        {"class": "green", "forget": True, "id": "n1"},
        {"class": "green", "forget": True, "label": "green"},
        {"class": 7.5, "forget": True},
        {"id": "n30", "base64": coded(30), "label": "blue"},
    ]
    source = tmp_path / "lines.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answers: list[Any] = []
    settings = settings_for(f"jsonl:{source}", tmp_path / "run", learning=LEARNING)
    run_stream(settings, feature_source=fake_feature_source(), acknowledge=answers.append)
    # What is refused is answered at once, what is done once it is on disk.
    assert [a["removed"] for a in answers if a["id"] == "red"] == [6, 0]
    assert sum(a["status"] == "rejected" for a in answers) == 6
    assert sum(a["status"] == "accepted" for a in answers) == N + 1
    kept = [i for i in range(N) if label_of(i) != "red"]
    assert learned(tmp_path / "run") == streamed(tmp_path / "never", [*kept, 30])
