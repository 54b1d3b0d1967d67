"""A look at a run that somebody writes to: what is in the making is no damage."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import RunFolderError
from edgetransfer.runs.owning import FolderOwner
from edgetransfer.runs.pending import RECORD, Change, Staged, _encoded
from edgetransfer.stream import OnlineLearner, check, checking
from edgetransfer.stream.checking import Check
from edgetransfer.stream.keeping.journal import segments, whole_records
from edgetransfer.stream.keeping.mark import NAME as MARK
from edgetransfer.stream.keeping.mark import encode_mark, read_mark
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.test_sealing import flipped


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and samples in the journal alone, each a group of its own."""
    path = tmp_path_factory.mktemp("meanwhile") / "run"
    settings = settings_for(
        "", path, keeping={"checkpoint_seconds": 1e9}, learning={"batch_size": 2}
    )
    for first, last in ((0, 8), (8, 16)):
        stream = OnlineLearner(settings, feature_source=fake_feature_source())
        for i in range(first, last):
            stream.learn(picture(i), label_of(i), id=f"n{i}")
        if last < 16:
            stream.durable.save()
        stream.close()
    return path


def test_a_change_in_the_making_is_no_damage(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    owner = FolderOwner(copy, "rollback")
    try:
        with Staged(copy) as staged:
            staged.write("labels.txt", b"")
            record = Change(what="rollback", replace=("labels.txt",), remove=(), aside=None)
            write_atomically(copy / RECORD, _encoded(record))
            (copy / "head.safetensors").write_bytes(b"")
            with pytest.raises(RunFolderError, match="being carried out"):
                check(copy)
    finally:
        owner.release()


def test_what_a_process_is_writing_is_looked_at_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what stays is a finding; of a run that nobody writes to, whatever is found."""
    sights = [("a", "b"), ("b", "c"), ("c", "b")]
    for running, expected in ((True, ("b",)), (False, ("a", "b"))):
        seen = iter(sights)

        def looked(_: Path, seen: Any = seen, running: bool = running) -> Check:
            return Check(accepted=1, running=running, findings=next(seen))

        monkeypatch.setattr(checking, "_looked", looked)
        monkeypatch.setattr(checking, "APART", 0)
        assert check(run).findings == expected


def last_group(run: Path) -> tuple[Path, int]:
    """The journal's last segment, and the byte at which its last group begins."""
    path = segments(run / "journal")[-1]
    starts: dict[int, int] = {}
    before = 0
    for record, end in whole_records(path.read_bytes()):
        starts.setdefault(record.group, before)
        before = end
    return path, starts[max(starts)]


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("what", ["journal", "mark", "metrics"])
def test_what_stands_half_written_is_damage_where_nobody_writes(
    run: Path, tmp_path: Path, what: str, running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream may stand still in the midst of a write, on a slow disk or by Ctrl-Z."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    monkeypatch.setattr(checking, "APART", 0)
    segment, group = last_group(copy)
    position = read_mark(copy / MARK)
    assert position is not None
    (at,) = (r.n for r, end in whole_records(segment.read_bytes()) if end == group)
    # Neither the mark nor what a group is learned into is written before the group is whole.
    (copy / MARK).write_bytes(encode_mark(at + 1))
    metrics = copy / "metrics.jsonl"
    halves = {
        "journal": (segment, group + 1, segment.read_bytes()),
        "mark": (copy / MARK, 0, encode_mark(at + 1)),
        "metrics": (metrics, metrics.read_bytes()[:-1].rfind(b"\n") + 2, metrics.read_bytes()),
    }
    path, first, whole = halves[what]
    owner = FolderOwner(copy, "stream") if running else None
    try:
        for end in random.Random(0).sample(range(first, len(whole)), 6):
            path.write_bytes(whole[:end])
            found = check(copy)
            assert found.running == running
            named = any(str(path) in finding for finding in found.findings)
            assert found.findings == () if running else named, end
    finally:
        if owner is not None:
            owner.release()


def test_damage_is_named_while_the_stream_runs(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    monkeypatch.setattr(checking, "APART", 0)
    segment, group = last_group(copy)
    whole = segment.read_bytes()
    owner = FolderOwner(copy, "stream")
    try:
        assert check(copy).findings == ()
        for bit in random.Random(1).sample(range(8 * len(whole)), 8):  # all was acknowledged
            segment.write_bytes(flipped(whole, bit))
            assert str(segment) in "\n".join(check(copy).findings), bit
        # Together they are no write in its midst: what is missing may have been acknowledged.
        segment.write_bytes(whole[: group + 10])
        (copy / MARK).write_bytes(b"")
        assert str(segment) in "\n".join(check(copy).findings)
    finally:
        owner.release()
