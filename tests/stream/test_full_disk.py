"""A stream on a disk that is really full: it waits, and goes on when there is room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stream.stream_children import Children
from tests.stream.stream_pictures import final_state


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a tmpfs needs privileges that are not here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    handle = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(handle, bytes(512))
    except OSError:
        pass
    finally:
        os.close(handle)
    return filler


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.06, 0.1])
def test_it_pauses_and_goes_on(
    children: Children, inputs: Path, tmp_path: Path, small_disk: Path, delay: float
) -> None:
    def order(run: Path) -> dict[str, object]:
        return {
            "source": f"jsonl:{inputs / 'lines.jsonl'}",
            "out": str(run),
            "acks": str(tmp_path / f"{run.parent.name}.acks"),
            "keeping": {"checkpoint_seconds": 0.02, "checkpoints": 2},
        }

    reference = tmp_path / "reference" / "run"
    reference.parent.mkdir()
    children.start(order(reference))
    assert children.status() == 0
    run = small_disk / "run"
    early = None if delay else fill(small_disk)  # full from the very start
    children.start(order(run))
    acks = tmp_path / "disk.acks"
    if delay:
        while not (acks.exists() and acks.stat().st_size):
            time.sleep(0.001)
    time.sleep(delay)
    filler = early or fill(small_disk)
    time.sleep(1.0)
    before = acks.read_bytes() if acks.exists() else b""
    time.sleep(1.0)
    assert (acks.read_bytes() if acks.exists() else b"") == before  # nothing is acknowledged
    filler.unlink()
    assert children.status() == 0
    assert final_state(run) == final_state(reference)
    answers = [json.loads(line)["id"] for line in acks.read_bytes().splitlines()]
    expected = (tmp_path / "reference.acks").read_bytes().splitlines()
    assert answers == [json.loads(line)["id"] for line in expected]


@pytest.mark.slow
def test_a_kill_on_a_full_disk_loses_nothing(
    children: Children, inputs: Path, tmp_path: Path, small_disk: Path
) -> None:
    order = {
        "source": f"jsonl:{inputs / 'lines.jsonl'}",
        "acks": str(tmp_path / "acks"),
        "keeping": {"checkpoint_seconds": 0.02, "checkpoints": 2},
    }
    reference = tmp_path / "reference" / "run"
    reference.parent.mkdir()
    children.start({**order, "out": str(reference)})
    assert children.status() == 0
    run = small_disk / "run"
    pid = children.start({**order, "out": str(run)})
    time.sleep(0.12)
    filler = fill(small_disk)
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    assert children.status() == -signal.SIGKILL
    pid = children.start({**order, "out": str(run)})  # still full: it waits
    time.sleep(1.0)
    os.kill(pid, 0)
    filler.unlink()
    assert children.status() == 0
    assert final_state(run) == final_state(reference)
