"""A run that is replaced is whole at every moment, wherever the process is killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import CHECKPOINT, CONFIG, FILES, HEAD, REPORT

CALLS = ("replace", "link", "unlink", "mkdir", "rmdir", "fsync", "open", "scandir")


class Killed(BaseException):
    """The process is dead: nothing that it tries to do is done any more."""


def killed_at(
    n: int, work: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> tuple[bool, int]:
    """Whether work was killed before its n-th call, and how many it made."""
    calls = 0

    def counted(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= n:
                raise Killed
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        except Killed:
            return True, calls
    return False, calls


def old_run(path: Path) -> None:
    run = RunFolder.begin(path, resume=False, overwrite=False)
    for name in FILES:
        if name != CHECKPOINT:
            run.write(name, "run = 'old'\n" if name == CONFIG else f"old {name}")
    (path / "notes.txt").write_text("mine")


def new_run(path: Path, *, finishes: bool) -> None:
    """As a training does: in the order of its files, the report last."""
    run = RunFolder.begin(path, resume=False, overwrite=True)
    run.put_aside()
    try:
        run.write(CONFIG, "run = 'new'\n")
        if not finishes:
            raise ValueError
        run.write(CHECKPOINT, "new checkpoint")
        run.write(HEAD, "new head")
        run.write(REPORT, "new report")
        run.file(CHECKPOINT).unlink()
    except BaseException:
        run.give_back()
        raise
    run.drop_aside()


def seen(path: Path) -> str:
    """Which run a reader sees: the old one or the new one, and whole."""
    run = RunFolder.open(path)
    which = str(run.read_config()["run"])
    assert run.file(HEAD).read_text().startswith(which)
    assert run.file(REPORT).read_text().startswith(which)
    if which == "old":
        assert all(run.file(name).exists() for name in FILES if name != CHECKPOINT)
    return which


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("finishes", [True, False])
def test_a_reader_sees_one_run_or_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finishes: bool, step: int
) -> None:
    path = tmp_path / "run"

    def work() -> None:
        try:
            new_run(path, finishes=finishes)
        except ValueError:
            assert not finishes

    n, killed, both = 1 - step, True, set()
    while killed:
        n += step
        shutil.rmtree(path, ignore_errors=True)
        old_run(path)
        killed, _ = killed_at(n, work, monkeypatch)
        both.add(seen(path))
        for again in (1, 5, 9, 10_000):  # the next one is killed as well, and then repeated
            killed_at(again, lambda: new_run(path, finishes=True), monkeypatch)
            both.add(seen(path))
        assert seen(path) == "new"
        left = {p.name for p in path.iterdir()}
        assert left == {CONFIG, HEAD, REPORT, "notes.txt"}, n
    assert n > 40
    assert both == {"old", "new"}


@pytest.mark.parametrize("way", ["as before", "resume", "overwrite"])
def test_a_beginning_that_was_killed_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Also at the renaming of the config, which makes the folder a run."""

    def beginning() -> None:
        RunFolder.begin(path, resume=False, overwrite=False).write(CONFIG, "run = 'new'\n")

    kills = 0
    for n in range(1, 100):
        path = tmp_path / str(n) / "run"
        killed, _ = killed_at(n, beginning, monkeypatch)
        kills += killed
        again = RunFolder.begin(path, resume=way == "resume", overwrite=way == "overwrite")
        again.write(CONFIG, "run = 'again'\n")
        assert RunFolder.open(path).read_config() == {"run": "again"}
        assert [entry.name for entry in path.iterdir()] == [CONFIG]
        if not killed:
            break
    assert kills > 4
