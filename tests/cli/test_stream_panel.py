"""A stream that is watched: a panel with the log above it, and lines for programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.cli import stream_panel
from edgetransfer.cli.stream_panel import measured, shown_stream
from edgetransfer.stream import Snapshot
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


def snapshot(accepted: int, **others: Any) -> Snapshot:
    score = {"top1": 0.5, "mean_per_class": 0.5}
    report = {
        "accepted": accepted,
        "learned": accepted,
        "classes": 2,
        "prequential": score,
        "window": score,
        "drift": {"alarms": 1, "last": 3},
    }
    return Snapshot(report=report, latency=(0.01, 0.5), **others)


def test_lines_for_programs_once_a_second_while_something_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(stream_panel, "monotonic", lambda: clock[0])
    with shown_stream("folder:in") as watch:
        for i in range(100):
            clock[0] += 0.25
            watch(snapshot(min(i, 50), per_second=float(i)))
    lines = capsys.readouterr().err.splitlines()
    assert 12 <= len(lines) <= 15  # of 12.5 seconds in which something came
    for line in lines:
        kind, *fields = line.split(" ")
        assert kind == "stream"
        values = dict(field.split("=") for field in fields)
        assert values["state"] == "running"
        numbers = [float(v) for name, v in values.items() if name != "state"]
        assert len(numbers) == len(values) - 1
    assert dict(field.split("=") for field in lines[-1].split(" ")[1:])["accepted"] == "50"


def test_a_pause_is_a_word() -> None:
    values = measured(snapshot(3, paused="the disk of a place with spaces is full"))
    assert values["state"] == "paused"
    assert not any(" " in value for value in values.values())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")
def test_the_log_stands_above_the_panel(photos: Path, backbone: Path, tmp_path: Path) -> None:
    """On a terminal that is emulated just so far: what is left on the screen is not torn."""
    import pty

    (photos / "train" / "red" / "broken.png").write_bytes(b"no picture")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "edgetransfer", "stream", "--backbone", str(backbone)]
    command += ["--source", f"folder:{photos / 'train'}", "--once", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "50"}
    process = subprocess.Popen(command, stderr=follower, stdout=follower, env=environment)
    os.close(follower)
    written = b""
    try:
        while part := os.read(leader, 65536):
            written += part
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    assert process.wait() == 0
    text = written.decode(errors="replace")
    assert "accepted" in text
    refused = [line for line in text.splitlines() if "warning: refused" in line]
    assert len(refused) == 1
    # A line of the log begins where the panel was taken away, and no border runs into it.
    assert not any(border in refused[0] for border in "│╭╮╰╯─")
