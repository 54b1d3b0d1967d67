"""Commands that change a run's history look at all of it before they change anything of it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgetransfer.cli.main import main
from edgetransfer.errors import EdgeTransferError
from edgetransfer.stream import forget, relabel, rollback
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.journal import segments
from tests.stream.test_damage import contents, opened, run  # noqa: F401  (a fixture)


def no_end(folder: Path) -> None:
    segments(folder / "journal")[-1].unlink()


def no_ids(folder: Path) -> None:
    segments(folder / "journal")[0].unlink()
    (folder / "ids.bin").write_bytes(b"")


def no_early_checkpoint(folder: Path) -> None:
    for path in CheckpointFolder(folder / "checkpoints").names()[:-1]:
        path.unlink()


def no_checkpoint(folder: Path) -> None:
    for path in CheckpointFolder(folder / "checkpoints").names():
        path.write_bytes(path.read_bytes()[:-1])


def no_harm(folder: Path) -> None:
    del folder


def forgetting(*ids: str, classes: tuple[str, ...] = ()) -> Callable[[Path], object]:
    return lambda folder: forget(folder, ids=frozenset(ids), classes=frozenset(classes))


@pytest.mark.parametrize(
    ("harm", "command"),
    [
        (no_end, forgetting("n0")),
        (no_end, forgetting(classes=("red",))),
        (no_ids, forgetting("n0")),
        (no_checkpoint, forgetting("n0")),
        (no_checkpoint, lambda folder: rollback(folder, "30")),
        (no_early_checkpoint, lambda folder: rollback(folder, "5")),
        (no_harm, lambda folder: rollback(folder, "yesterday")),
        (no_harm, lambda folder: rollback(folder, "2001-01-01")),
        (no_harm, forgetting(classes=("red", "none"))),
        (no_harm, lambda folder: relabel(folder, ["n0"], "blue")),  # not of statistics
        (no_end, lambda folder: relabel(folder, ["n0"], "blue")),
    ],
)
def test_what_is_refused_has_changed_nothing(
    run: Path,  # noqa: F811
    tmp_path: Path,
    harm: Callable[[Path], None],
    command: Callable[[Path], object],
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    harm(copy)
    before = contents(copy)
    for _ in range(2):
        with pytest.raises(EdgeTransferError):
            command(copy)
        assert contents(copy) == before


def test_a_start_says_what_is_damaged_and_keeps_it_aside(
    run: Path,  # noqa: F811
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    newest = CheckpointFolder(copy / "checkpoints").names()[-1]
    segment, torn, ids = segments(copy / "journal")[-1], b"\x01garbage", copy / "ids.bin"
    damaged = {newest: b"not whole", ids: b"\0" + ids.read_bytes()[1:]}
    for path, content in damaged.items():
        path.write_bytes(content)
    segment.write_bytes(segment.read_bytes() + torn)
    with caplog.at_level(logging.INFO, "edgetransfer"):
        opened(copy)
    for path in (*damaged, segment):
        assert any(str(path) in record.getMessage() for record in caplog.records), path
    aside = copy / "set-aside"
    assert {path: (aside / path.name).read_bytes() for path in damaged} == damaged
    (tail,) = aside.glob("*.tail")
    assert tail.read_bytes() == torn
    assert tail.name.startswith(segment.stem)


def test_a_run_is_listed_and_a_rollback_tried_without_a_change(
    run: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = contents(copy)
    assert main(["rollback", str(copy), "--list", "--json"]) == 0
    states = json.loads(capsys.readouterr().out)
    assert [state["accepted"] for state in states] == [0, 12, 24]
    assert main(["rollback", str(copy), "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["rollback", str(copy), "--to", "20", "--dry-run", "--json"]) == 0
    tried = json.loads(capsys.readouterr().out)
    assert (tried["accepted"], tried["leaving"], tried["aside"]) == (20, 10, None)
    assert contents(copy) == before
    assert main(["rollback", str(copy), "--to", "20"]) == 0
    assert "set aside in" in capsys.readouterr().out
