"""Damage to a run's files: found and named, or without effect."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.errors import DataError, EdgeTransferError
from edgetransfer.stream import OnlineLearner, check, rollback
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.journal import segments
from edgetransfer.stream.keeping.mark import read_mark
from edgetransfer.stream.keeping.metrics_log import parsed_line
from tests.stream.stream_pictures import (
    fake_feature_source,
    final_state,
    label_of,
    picture,
    settings_for,
)
from tests.test_sealing import flipped

LEARNING = {"batch_size": 2, "reservoir_bytes": 1000, "refit_every": 4, "pool_bytes": 400}
RARE = {"checkpoint_seconds": 1e9, "checkpoints": 3}
READ_BY_NOBODY = ("lock", "curve.svg", "report.html", "skipped.jsonl")


def learner(run: Path) -> OnlineLearner:
    settings = settings_for("", run, keeping=RARE, learning=LEARNING)
    return OnlineLearner(settings, feature_source=fake_feature_source())


def opened(run: Path) -> dict[str, Any]:
    """The state of a run after a start and a checkpoint, with its head."""
    with learner(run) as stream:
        stream.durable.checkpoint()
    return {**final_state(run), "head": (run / "head.safetensors").read_bytes()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoints, and six samples in the journal alone."""
    path = tmp_path_factory.mktemp("damage") / "run"
    for first, last in ((0, 12), (12, 24)):
        with learner(path) as stream:
            for i in range(first, last):
                stream.learn(picture(i), None if i % 10 == 3 else label_of(i), id=f"n{i}")
    stream = learner(path)
    for i in range(24, 30):
        stream.learn(picture(i), label_of(i), id=f"n{i}")
    stream.durable._derived.save(stream.durable.learner)
    stream.close()
    return path


@pytest.fixture(scope="module")
def expected(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    copy = tmp_path_factory.mktemp("expected") / "run"
    shutil.copytree(run, copy)
    assert check(copy).findings == ()
    return opened(copy)


def files(run: Path) -> list[str]:
    return sorted(p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file())


def told(run: Path) -> str:
    """What a check says of a run."""
    try:
        return "\n".join(check(run).findings)
    except EdgeTransferError as error:
        return str(error)


def judge(
    run: Path,
    name: str,
    expected: dict[str, Any],
    reopen: Callable[[Path], dict[str, Any]] = opened,
) -> None:
    """Damage must be named by a check, or have no effect; a start must not be wrong in silence."""
    text = told(run)
    folder, _, _ = name.rpartition("/")
    named = name in text or (folder and f"{run / folder}" in text)  # the gap that it leaves
    try:
        state = reopen(run)
    except EdgeTransferError as error:
        refusal = str(error)
        state = expected
    else:
        refusal = ""
    assert state == expected
    assert named or not refusal or "was begun with" in refusal
    if not named and not refusal:
        assert told(run) == ""


def flip(run: Path, copy: Path, name: str, bit: int, expected: dict[str, Any]) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    (copy / name).write_bytes(flipped((copy / name).read_bytes(), bit))
    judge(copy, name, expected)


def test_some_flipped_bits(run: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    rng = random.Random(0)
    for name in files(run):
        size = (run / name).stat().st_size
        for _ in range(3 if size else 0):
            flip(run, tmp_path / "run", name, rng.randrange(8 * size), expected)


@pytest.mark.slow
def test_many_flipped_bits(run: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    """Each 211th; that the formats show every one is tested beside them."""
    for name in files(run):
        for bit in range(0, 8 * (run / name).stat().st_size, 211):
            flip(run, tmp_path / "run", name, bit, expected)


def test_every_flipped_bit_of_the_mark_and_of_a_line_of_metrics(run: Path, tmp_path: Path) -> None:
    for name, read in (
        ("acknowledged", lambda path: read_mark(path)),
        ("metrics.jsonl", lambda path: parsed_line(path.read_bytes().splitlines(True)[0])),
    ):
        path = tmp_path / name
        content = (run / name).read_bytes().partition(b"\n")[0] + b"\n" * (name[0] == "m")
        path.write_bytes(content)
        right = read(path)
        assert right is not None
        for bit in range(8 * len(content)):
            path.write_bytes(flipped(content, bit))
            found = read(path)
            if found is not None:  # a flip in the word crc32 alone has no effect
                found.pop("crc32", None)
                known = {key: value for key, value in right.items() if key != "crc32"}
                assert {key: found[key] for key in known} == known


@pytest.mark.parametrize("harm", ["gone", "empty", "zeros", "half", "noise"])
def test_files_that_are_lost(
    run: Path, tmp_path: Path, expected: dict[str, Any], harm: str
) -> None:
    for name in files(run):
        if name == "config.toml":
            continue  # without it, it is no run
        copy = tmp_path / "run"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        content = (copy / name).read_bytes()
        if harm == "gone":
            (copy / name).unlink()
        else:
            harmed = {
                "empty": b"",
                "zeros": bytes(len(content)),
                "half": content[: len(content) // 2],
                "noise": random.Random(1).randbytes(len(content)),
            }
            (copy / name).write_bytes(harmed[harm])
        judge(copy, name, expected)


def test_the_last_segment_is_missed(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    segments(copy / "journal")[-1].unlink()
    with pytest.raises(DataError, match=r"6 acknowledged records are missing.*--to 24"):
        opened(copy)
    assert rollback(copy, "24").accepted == 24
    assert check(copy).findings == ()
    assert opened(copy)["counts"]["accepted"] == 24


def test_a_config_without_its_table_is_named(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = copy / "config.toml"
    config.write_text(config.read_text().replace("[stream]", "[strdam]"))
    assert "config.toml: damaged" in told(copy)
    before = {name: (copy / name).read_bytes() for name in files(copy)}
    with pytest.raises(EdgeTransferError, match=r"config\.toml: damaged.*journal"):
        opened(copy)
    assert {name: (copy / name).read_bytes() for name in files(copy)} == before


def test_ids_that_the_journal_does_not_hold_any_more(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    segments(copy / "journal")[0].unlink()
    ids = bytearray((copy / "ids.bin").read_bytes())
    ids[20] ^= 1
    (copy / "ids.bin").write_bytes(ids)
    with pytest.raises(DataError, match=r"ids\.bin: damaged"):
        opened(copy)
    rollback(copy, "30")  # the way on, with what there is
    with learner(copy) as stream:
        again = [stream.learn(picture(i), label_of(i), id=f"n{i}").status for i in range(30)]
    assert again.count("accepted") == 1  # the one whose id is lost


def test_a_broken_checkpoint_is_set_aside(
    run: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    newest = CheckpointFolder(copy / "checkpoints").names()[-1]
    newest.write_bytes(b"")
    assert opened(copy) == expected
    assert (copy / "set-aside" / newest.name).exists()


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """See `golden/make_run.py`."""
    from edgetransfer.heads import LinearHead
    from tests.stream.golden import make_run

    golden = Path(make_run.__file__).parent
    shutil.copytree(golden / "run-1", tmp_path / "run")
    settings = settings_for("", tmp_path / "run", learning=make_run.LEARNING)
    with OnlineLearner(settings, feature_source=fake_feature_source()) as stream:
        counts = stream.durable.learner.counts
        assert (counts.accepted, counts.labelled) == (50, 45)
        assert stream.learn(picture(0), label_of(0), id="n0").status == "duplicate"
        assert stream.label("n43", "red").status == "labelled"
        learned = LinearHead.load(golden / "learned.safetensors")
        head = LinearHead.load(tmp_path / "run" / "head.safetensors")
        assert head.classes == learned.classes
        # Other machines round otherwise.
        assert abs(head.weights - learned.weights).max() < 1e-3
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["batches"] for line in lines] == [8]
    assert check(tmp_path / "run").findings == ()
    assert rollback(tmp_path / "run", "30").accepted == 30


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in files(run) if name != "lock"}


@pytest.mark.parametrize("why", ["journal", "ids", "settings", "checkpoints"])
def test_a_start_that_fails_changes_nothing(run: Path, tmp_path: Path, why: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    settings = settings_for("", copy, keeping=RARE, learning=LEARNING)
    if why == "journal":
        segments(copy / "journal")[-1].write_bytes(b"")
    elif why == "ids":
        segments(copy / "journal")[0].unlink()
        (copy / "ids.bin").write_bytes(b"")
    elif why == "settings":
        settings = settings_for("", copy, keeping=RARE, learning={**LEARNING, "seed": 7})
    else:
        shutil.rmtree(copy / "journal")
        for path in CheckpointFolder(copy / "checkpoints").names():
            path.write_bytes(path.read_bytes()[:-1])
    before = contents(copy)
    for _ in range(2):
        with pytest.raises(EdgeTransferError, match=str(copy)):
            OnlineLearner(settings, feature_source=fake_feature_source())
        assert contents(copy) == before


@pytest.mark.parametrize("name", ["head.safetensors", "labels.txt", "report.json"])
def test_a_head_that_could_not_be_written_follows(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A full disk at the very end of a checkpoint: the next one, or the next start, makes up."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    real = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    stream = learner(copy)
    for i in (30, 31):
        stream.learn(picture(i), "new", id=f"n{i}")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        stream.durable.save()
    assert name in " ".join(check_closed(stream, copy))
    with learner(copy):
        pass
    assert check(copy).findings == ()
    stream = learner(copy)
    for i in (32, 33):
        stream.learn(picture(i), "newer", id=f"n{i}")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        stream.durable.save()
    stream.durable.save()
    assert check_closed(stream, copy) == ()


def check_closed(stream: OnlineLearner, run: Path) -> tuple[str, ...]:
    stream.close()
    return check(run).findings
