"""Whole streams: sources, refusals, memory, pauses, signals and the command."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.data.streams import Arrival
from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.stream import OnlineLearner, Snapshot, forget, pausing, run_stream
from edgetransfer.stream.learner import gather
from tests.stream.stream_pictures import (
    fake_feature_source,
    final_state,
    label_of,
    picture,
    settings_for,
)


def as_lines(path: Path, n: int, extra: tuple[dict[str, Any], ...] = ()) -> str:
    records = [
        {"base64": base64.b64encode(picture(i)).decode(), "label": label_of(i), "id": str(i)}
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in (*records, *extra)))
    return f"jsonl:{path}"


def test_it_learns_colours(tmp_path: Path) -> None:
    for i in range(200, 240):
        path = tmp_path / "test" / label_of(i) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(i))
    source = as_lines(tmp_path / "lines", 200)
    chosen = settings_for(source, tmp_path / "run", test_data=tmp_path / "test")
    report = run_stream(chosen, feature_source=fake_feature_source())
    assert report["accepted"] == report["learned"] == 200
    assert report["classes"] == 4
    assert report["final"]["mean_per_class"] > 0.95
    assert 0.5 < report["prequential"]["top1"] < 1  # the first eight could only be guessed


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_engine_batch_changes_nothing(tmp_path: Path, batch: int) -> None:
    source = as_lines(tmp_path / "lines", 50)
    for run, engine_batch in (("a", 4), ("b", batch)):
        chosen = settings_for(
            source, tmp_path / run, engine_batch=engine_batch, learning={"views": 2}
        )
        run_stream(chosen, feature_source=fake_feature_source(engine_batch))
    assert final_state(tmp_path / "a") == final_state(tmp_path / "b")


def test_views_depend_on_the_id_and_the_seed_alone(tmp_path: Path) -> None:
    rows = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        chosen = settings_for("", tmp_path / name, learning={"views": 3, "seed": seed})
        with OnlineLearner(chosen, feature_source=fake_feature_source()) as learner:
            arrivals = [Arrival(id=i, source=picture(7)) for i in ("x", "y")]
            order = arrivals if name == "a" else arrivals[::-1]
            found, _ = learner.rows(order)
            rows[name] = {a.id: found[i] for i, a in enumerate(order)}
    assert rows["a"]["x"].shape == (3, 48)
    assert np.array_equal(rows["a"]["x"], rows["b"]["x"])
    assert not np.array_equal(rows["a"]["x"], rows["a"]["y"])
    assert not np.array_equal(rows["a"]["x"], rows["c"]["x"])
    assert not np.array_equal(rows["a"]["x"][0], rows["a"]["x"][1])


def test_what_cannot_be_used_is_answered_and_written_down(tmp_path: Path) -> None:
    broken = base64.b64encode(b"no image").decode()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    extra = (
        {"base64": broken, "label": "red", "id": "broken"},
        {"path": str(tmp_path), "label": "red"},
        {"path": str(fifo), "label": "red"},
        {"path": str(tmp_path / "none.png"), "label": "red"},
        {"label": "red"},
        {"id": "0", "label": "green"},
    )
    answers: list[dict[str, Any]] = []
    report = run_stream(
        settings_for(as_lines(tmp_path / "lines", 10, extra), tmp_path / "run"),
        feature_source=fake_feature_source(),
        acknowledge=lambda outcome: answers.append(dict(outcome)),
    )
    assert report["refused"] == 5
    by_id = {a["id"]: a for a in answers}
    assert len(answers) == 16
    assert by_id["broken"]["status"] == "rejected"
    assert by_id[str(tmp_path)]["reason"] == "not a file"
    assert by_id[str(fifo)]["reason"] == "not a file"
    assert by_id[str(tmp_path / "none.png")]["reason"] == "no such file"
    assert by_id["0"]["status"] == "duplicate"
    written = (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()
    assert len(written) == 5


def test_features_that_are_not_finite_are_refused() -> None:
    from edgetransfer.features import FeatureBatch

    rows = np.array([[1, 2], [np.inf, 0]], np.float32)
    good, problems = gather([FeatureBatch(indices=np.arange(2), features=rows, failed=())])
    assert list(good) == [0]
    assert problems == {1: "its features are not finite"}


def test_a_limit_is_met_exactly_and_can_be_raised(tmp_path: Path) -> None:
    source = as_lines(tmp_path / "lines", 60)
    for limit in (13, 29, 60):
        report = run_stream(
            settings_for(source, tmp_path / "run", limit=limit),
            feature_source=fake_feature_source(),
        )
        assert report["accepted"] == limit


def test_a_run_keeps_its_settings(tmp_path: Path) -> None:
    source = as_lines(tmp_path / "lines", 8)
    run_stream(settings_for(source, tmp_path / "run"), feature_source=fake_feature_source())
    other = settings_for(source, tmp_path / "run", learning={"replay": 5})
    with pytest.raises(UsageError, match="replay was 2 and is now 5"):
        run_stream(other, feature_source=fake_feature_source())
    run_stream(
        settings_for(source, tmp_path / "run", keeping={"checkpoints": 9}),
        feature_source=fake_feature_source(),
    )


def test_a_kill_at_the_very_start_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.toml.0123abcd.tmp").write_text("backb")
    report = run_stream(
        settings_for(as_lines(tmp_path / "lines", 8), tmp_path / "run"),
        feature_source=fake_feature_source(),
    )
    assert report["accepted"] == 8
    assert list((tmp_path / "run").glob(".*.tmp")) == []


@pytest.mark.parametrize("source", ["", "folder", "folder:", "ftp:x", "http:x", "http:70000"])
def test_sources_that_are_none(tmp_path: Path, source: str) -> None:
    with pytest.raises(UsageError, match="--source"):
        run_stream(settings_for(source, tmp_path / "run"), feature_source=fake_feature_source())


def test_too_much_memory_ends_it_with_everything_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_lines(tmp_path / "lines", 60)
    run_stream(
        settings_for(source, tmp_path / "run", limit=20), feature_source=fake_feature_source()
    )
    monkeypatch.setattr(pausing, "resident_bytes", lambda: 2**40)
    with pytest.raises(EdgeTransferError, match="--max-memory"):
        run_stream(
            settings_for(source, tmp_path / "run", max_memory=2**30),
            feature_source=fake_feature_source(),
        )
    monkeypatch.undo()
    report = run_stream(
        settings_for(source, tmp_path / "run"), feature_source=fake_feature_source()
    )
    assert report["accepted"] == 60


def test_it_waits_while_on_battery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged = threading.Event()
    monkeypatch.setattr(pausing, "EVERY", 0.0)
    monkeypatch.setattr(pausing, "on_battery", lambda: not plugged.is_set())
    seen: list[tuple[str | None, int]] = []
    threading.Timer(1.0, plugged.set).start()
    report = run_stream(
        settings_for(as_lines(tmp_path / "lines", 20), tmp_path / "run", pause_on_battery=True),
        feature_source=fake_feature_source(),
        watch=lambda s: seen.append((s.paused, s.report["accepted"])),
    )
    assert ("on battery", 0) in seen
    assert not any(paused and accepted for paused, accepted in seen)
    assert report["accepted"] == 20


def test_the_api(tmp_path: Path) -> None:
    with OnlineLearner(
        settings_for("", tmp_path / "run"), feature_source=fake_feature_source()
    ) as learner:
        assert learner.predict(picture(0)) == {}
        for i in range(40):
            receipt = learner.learn(picture(i), label_of(i))
            assert receipt.status == "accepted"
        assert receipt.predicted in ("red", "green", "blue", "dark")
        assert learner.learn(picture(39), "red").status == "duplicate"
        assert learner.learn(b"nothing", "red").status == "rejected"
        assert learner.learn(picture(50), None, id="late").status == "accepted"
        assert learner.label("late", label_of(50)).status == "labelled"
        assert next(iter(learner.predict(picture(61)))) == label_of(61)
    with OnlineLearner(
        settings_for("", tmp_path / "run"), feature_source=fake_feature_source()
    ) as learner:
        assert learner.durable.learner.counts.accepted == 41


def test_help_loads_nothing_heavy() -> None:
    heavy = ("numpy", "onnx", "scipy", "sklearn", "onnxruntime", "deepsparse", "torch")
    heavy += ("watchdog", "av", "psutil", "http.server")
    program = (
        "import sys; from edgetransfer.cli.main import app\n"
        "app(['stream', '--help'], standalone_mode=False)\n"
        f"found = [m for m in {heavy!r} if m in sys.modules]\n"
        "sys.exit(' '.join(found) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


BACKBONE = Path(__file__).parents[2] / "models" / "tinyresnet-90" / "tinyresnet-90.onnx"


@pytest.mark.skipif(not BACKBONE.is_file(), reason="the bundled backbone is not here")
def test_the_command(tmp_path: Path) -> None:
    """Acknowledges, finishes on SIGTERM with exit code 0, and goes on where it stood."""
    command = [
        *(sys.executable, "-m", "edgetransfer", "stream", "--backbone", str(BACKBONE)),
        *("--engine", "onnxruntime", "--source", "jsonl:-", "--out", str(tmp_path / "run")),
        *("--acknowledge", "--json"),
    ]
    as_lines(tmp_path / "lines", 40)
    lines = (tmp_path / "lines").read_bytes().splitlines(keepends=True)
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=buffered,  # as people have it: an answer must come without it
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(lines[:20]))
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(20)]
    assert [a["status"] for a in answers] == ["accepted"] * 20
    process.send_signal(signal.SIGTERM)  # standard input stays open
    begin = time.monotonic()
    report = json.loads(process.stdout.readline())
    assert process.wait(20) == 0
    assert time.monotonic() - begin < 15
    process.communicate()
    assert report["accepted"] == 20
    again = subprocess.run(command, input=b"".join(lines), capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    *answers, report = map(json.loads, again.stdout.splitlines())
    assert [a["status"] for a in answers] == ["duplicate"] * 20 + ["accepted"] * 20
    assert report["accepted"] == report["learned"] == 40
    assert set(report) >= {"accepted", "classes", "prequential", "final"}
    assert report["final"] is None


class Some:
    """A source of a few pictures that then has no more for a while, or for ever."""

    def __init__(self, count: int, *, ends: bool, label: bool = True) -> None:
        self.count = count
        self.ends = ends
        self.label = label

    def arrivals(self, stop: threading.Event, ledger: object) -> Iterator[Arrival]:
        del ledger
        for i in range(self.count):
            label = label_of(i) if self.label else None
            yield Arrival(id=f"n{i}", source=picture(i), label=label)
        if not self.ends:
            stop.wait()


def test_a_partial_batch_is_learned_while_nothing_comes(tmp_path: Path) -> None:
    """Three samples of a batch of eight: they are learned, though the stream goes on."""
    stop = threading.Event()
    learned: list[int] = []

    def watch(snapshot: Snapshot) -> None:
        learned.append(snapshot.report["learned"])
        if learned[-1] == 3:
            stop.set()

    settings = settings_for("", tmp_path / "run", keeping={"flush_seconds": 0.3})
    source = Some(3, ends=False)
    threading.Timer(60, stop.set).start()
    report = run_stream(
        settings, source=source, feature_source=fake_feature_source(), stop=stop, watch=watch
    )
    assert learned[-1] == report["learned"] == 3


def test_what_waits_is_learned_when_the_stream_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()

    def watch(snapshot: Snapshot) -> None:
        if snapshot.report["accepted"] == 13:
            stop.set()

    settings = settings_for("", tmp_path / "run")
    source = Some(13, ends=False)
    report = run_stream(
        settings, source=source, feature_source=fake_feature_source(), stop=stop, watch=watch
    )
    assert report["learned"] == 13
    labels = (tmp_path / "run" / "labels.txt").read_text().split()
    assert labels == [label_of(i) for i in range(4)]


def test_samples_without_a_label_have_their_predictions_written_down(tmp_path: Path) -> None:
    settings = settings_for("", tmp_path / "run")
    run_stream(settings, source=Some(40, ends=True), feature_source=fake_feature_source())
    assert not (tmp_path / "run" / "predictions.jsonl").exists()
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(100, 108):
        (folder / f"{i}.png").write_bytes(picture(i))
        os.utime(folder / f"{i}.png", (1e9, 1e9))
    again = settings_for(f"folder:{folder}", tmp_path / "run", once=True)
    run_stream(again, feature_source=fake_feature_source())
    text = (tmp_path / "run" / "predictions.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["id"]: line["predicted"] for line in lines} == {
        f"{i}.png": label_of(i) for i in range(100, 108)
    }
    assert all(0.25 < line["probability"] <= 1 for line in lines)
    forget(tmp_path / "run", ids=frozenset(["100.png"]), classes=frozenset(["dark"]))
    text = (tmp_path / "run" / "predictions.jsonl").read_text()
    assert [json.loads(line)["id"] for line in text.splitlines()] == [
        f"{i}.png" for i in (101, 102, 104, 105, 106)
    ]
