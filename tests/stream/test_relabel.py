"""Another label for samples of a stopped stream: what a running one would have done."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.cli.main import main
from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.stream import LearningSettings, check, relabel, rollback
from edgetransfer.stream.keeping import journal
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.journal import segments
from tests.stream.test_statistics_learner import blob, by_name, opened


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.tuples(
            st.lists(st.integers(0, 29), min_size=1, max_size=4),
            st.sampled_from(["class 0", "class 1", "class 2", "new"]),
        ),
        min_size=1,
        max_size=3,
    ),
    saved=st.booleans(),
)
def test_offline_is_as_while_it_runs(
    tmp_path: Path, changes: list[tuple[list[int], str]], saved: bool
) -> None:
    for path in ("live", "stopped"):
        shutil.rmtree(tmp_path / path, ignore_errors=True)
    live, stopped = opened(tmp_path / "live"), opened(tmp_path / "stopped")
    for durable in (live, stopped):
        durable.accept([blob(i, views=2) for i in range(30)])
        if saved:
            durable.save()
    stopped.close()
    for numbers, label in changes:
        ids = [f"s{i}" for i in dict.fromkeys(numbers)]
        receipts = live.relabel(ids, label)
        report = relabel(tmp_path / "stopped", [*ids, "never"], label)
        assert report["changed"] == sum(r.status == "relabelled" for r in receipts)
        assert report["unchanged"] == sum(r.status == "duplicate" for r in receipts)
        assert list(report["refused"]) == ["never"]
    assert check(tmp_path / "stopped").findings == ()
    again = opened(tmp_path / "stopped")
    assert by_name(again.learner) == by_name(live.learner)  # type: ignore[arg-type]
    assert again.position == live.position
    live.close()
    again.close()


def test_there_is_a_way_back_and_nothing_goes(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run", journal_bytes=2**30, checkpoints=50)
    for i in range(10):
        durable.accept([blob(i)])
        durable.checkpoint()
        if i == 8:
            before = by_name(durable.learner)  # type: ignore[arg-type]
    durable.close()
    kept = CheckpointFolder(tmp_path / "run" / "checkpoints").names()
    size = sum(path.stat().st_size for path in segments(tmp_path / "run" / "journal"))
    relabel(tmp_path / "run", ["s3"], "class 1")
    assert set(kept) < set(CheckpointFolder(tmp_path / "run" / "checkpoints").names())
    assert sum(path.stat().st_size for path in segments(tmp_path / "run" / "journal")) > size
    rollback(tmp_path / "run", "9")
    durable = opened(tmp_path / "run")
    assert by_name(durable.learner) == before  # type: ignore[arg-type]
    durable.close()


def test_what_cannot_be_is_said_and_changes_nothing(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(5)])
    with pytest.raises(RunFolderError, match="is running here"):
        relabel(tmp_path / "run", ["s1"], "class 2")
    durable.close()
    with pytest.raises(UsageError, match="give --id"):
        relabel(tmp_path / "run", [], "class 2")
    (tmp_path / "other").mkdir()
    with pytest.raises(RunFolderError):
        relabel(tmp_path / "other", ["s1"], "class 2")
    durable = opened(tmp_path / "run")  # whoever failed has let go of it
    assert durable.learner.class_counts == {"class 0": 2, "class 1": 2, "class 2": 1}
    durable.close()
    steps = opened(tmp_path / "steps", {"learner": "replay"})
    assert isinstance(steps.learner.settings, LearningSettings)
    steps.accept([blob(i) for i in range(5)])
    steps.close()
    with pytest.raises(UsageError, match="--learner replay"):
        relabel(tmp_path / "steps", ["s1"], "class 2")


@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], full: int
) -> None:
    """Whoever does not wait for room: it is an error of the system's, and nothing was changed."""
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(30)])
    durable.close()
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "journal").iterdir()}

    def refuse(*_: object) -> None:
        raise OSError(full, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "write_all", refuse)
        with pytest.raises(OSError, match="no room") as error:
            relabel(tmp_path / "run", ["s1"], "class 2")
        assert str(error.value.filename).endswith(journal.SUFFIX)
        assert main(["relabel", str(tmp_path / "run"), "--id", "s1", "--to", "class 2"]) == 1
    said = capsys.readouterr().err
    assert f"error: {error.value.filename}: " in said
    assert "Traceback" not in said
    assert check(tmp_path / "run").findings == ()
    assert before == {path: path.read_bytes() for path in before}
    assert relabel(tmp_path / "run", ["s1"], "class 2")["changed"] == 1
