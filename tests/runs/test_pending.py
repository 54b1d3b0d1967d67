"""Changes that are cut off: whoever opens the run finds it whole, before or after."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.runs import RunFolder, pending
from edgetransfer.runs.owning import FolderOwner
from edgetransfer.runs.pending import Staged, finish

NAMES = ("head.safetensors", "labels.txt", "report.json")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_text("old")
    (tmp_path / "config.toml").write_text("[stream]\n")
    (tmp_path / "set-aside" / "earlier").mkdir(parents=True)
    (tmp_path / "set-aside" / "earlier" / "face").write_text("private")
    return tmp_path


class Killed(BaseException):
    pass


def change(run: Path) -> None:
    with Staged(run) as staged:
        for name in NAMES[:2]:
            staged.write(name, b"new")
        staged.commit("forget", remove=[NAMES[2]], aside=None)


def killed_at(call: int, monkeypatch: pytest.MonkeyPatch, run: Path) -> bool:
    """Make a change that ends at the so-manieth call that changes names; whether it came to it."""
    left = [call]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*args, **kwargs)

        return called

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        try:
            change(run)
        except Killed:
            return True
    return False


def contents(run: Path) -> tuple[str | None, ...]:
    return tuple((run / n).read_text() if (run / n).exists() else None for n in NAMES)


def test_who_only_reads_finds_the_old_files_or_the_new_ones(
    run: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, mixed = set(), 0
    for call in range(100):
        copy = tmp_path_factory.mktemp("copies") / "run"
        shutil.copytree(run, copy)
        if not killed_at(call, monkeypatch, copy):
            break
        whole = (("old", "old", "old"), ("new", "new", None))
        mixed += contents(copy) not in whole
        RunFolder.open(copy, finish=False)
        counts = (copy / "pending.json").exists()
        RunFolder.open(copy)
        assert contents(copy) in whole
        assert not counts or contents(copy) == whole[1]
        assert not (copy / "pending.json").exists()
        found.add(contents(copy))
    assert mixed > 1
    assert len(found) == 2
    assert call > 6


def test_while_its_owner_is_at_it_a_reader_waits_and_then_reads(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed_at(4, monkeypatch, run)
    assert (run / "pending.json").exists()
    owner = FolderOwner(run, "stream")
    slept = []

    def then_it_is_done(seconds: float) -> None:
        slept.append(seconds)
        finish(run)

    monkeypatch.setattr(pending, "sleep", then_it_is_done)
    RunFolder.open(run)
    owner.release()
    assert len(slept) == 1
    assert contents(run) == ("new", "new", None)


def test_what_is_to_be_forgotten_and_cannot_be_deleted_stays_pending(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was said to be done once, while the file stayed."""
    real = os.unlink

    def denied(path: Any, *args: Any, **kwargs: Any) -> None:
        if Path(path).name == "face":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, *args, **kwargs)

    monkeypatch.setattr(os, "unlink", denied)
    with pytest.raises(PermissionError):
        change(run)
    assert (run / "pending.json").exists()
    monkeypatch.setattr(os, "unlink", real)
    RunFolder.open(run)
    assert not (run / "set-aside").exists()
    assert contents(run) == ("new", "new", None)
