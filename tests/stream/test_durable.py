"""The durable learner: a function of its records, whole after whatever happened."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetransfer.errors import DataError, RunFolderError, UsageError
from edgetransfer.runs import RunFolder
from edgetransfer.stream import DurableLearner, KeepingSettings, LearningSettings, Offer
from edgetransfer.stream.keeping.journal import JournalFullError, segments
from edgetransfer.stream.keeping.mark import encode_mark
from edgetransfer.stream.learning.records import Record
from tests.stream.stream_pictures import final_state

D = 6
NEVER = {"checkpoint_seconds": 1e9}


def opened(path: Path, learning: dict[str, Any] | None = None, **keeping: Any) -> DurableLearner:
    path.mkdir(exist_ok=True)
    chosen = {"batch_size": 8, "replay": 2, "replay_size": 8, "refit_every": 32, "l2": 1e-2}
    return DurableLearner(
        RunFolder(path),
        D,
        LearningSettings(**{**chosen, "reservoir_bytes": 4000, **(learning or {})}),
        KeepingSettings(**{**NEVER, **keeping}),
        identity="blobs",
        head_metadata={"backbone": "blobs"},
    )


def blob(i: int) -> Offer:
    rng = np.random.default_rng(i)
    row = rng.normal(0, 1, (1, D)).astype(np.float32)
    row[0, i % 3] += 4
    return Offer(id=f"s{i}", label=f"class {i % 3}", rows=row)


def ended(durable: DurableLearner) -> dict[str, Any]:
    durable.flush()
    durable.save()
    durable.close()
    return final_state(durable.run.path)


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    durable = opened(tmp_path / "whole")
    durable.accept([blob(i) for i in range(100)])
    return ended(durable)


def test_it_learns_blobs(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(300)])
    report = durable.report()
    durable.close()
    # Bayes: 4 sigma apart along an axis each, 2 (1 - Phi(4 / sqrt 2)) = 0.5 % errors.
    assert report["window"]["top1"] > 0.9
    assert report["classes"] == 3
    assert report["class_counts"] == {"class 0": 99, "class 1": 99, "class 2": 98}


@pytest.mark.parametrize("group", [1, 3, 7, 64])
def test_how_samples_are_grouped_changes_nothing(
    tmp_path: Path, whole: dict[str, Any], group: int
) -> None:
    durable = opened(tmp_path / "grouped")
    for start in range(0, 100, group):
        durable.accept([blob(i) for i in range(start, min(start + group, 100))])
    assert ended(durable) == whole


@pytest.mark.parametrize("at", [0, 5, 8, 33, 40, 50, 99])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_restart_changes_nothing(
    tmp_path: Path, whole: dict[str, Any], at: int, checkpoint: bool
) -> None:
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(at)])
    if checkpoint:
        durable.save()
    durable.close()
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(100)])  # the first ones are known
    assert durable.learner.counts.accepted == 100
    assert ended(durable) == whole


def test_a_last_record_cut_at_every_byte(tmp_path: Path) -> None:
    """Whatever stays of the last record, sending it again gives the uninterrupted state."""
    durable = opened(tmp_path / "whole")
    for i in range(12):
        durable.accept([blob(i)])
    durable.close()
    expected = opened(tmp_path / "whole")
    state = ended(expected)
    saved = tmp_path / "saved"
    durable = opened(saved)
    for i in range(11):
        durable.accept([blob(i)])
    before = durable.journal_bytes
    durable.accept([blob(11)])
    after = durable.journal_bytes
    durable.close()
    assert after > before
    for size in range(before, after + 1):
        run = tmp_path / "cut"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(saved, run)
        os.truncate(segments(run / "journal")[-1], size)
        (run / "acknowledged").write_bytes(encode_mark(11))  # the last one was not
        durable = opened(run)
        assert durable.learner.counts.accepted == (12 if size == after else 11)
        (receipt,) = durable.accept([blob(11)])
        assert receipt.status == ("duplicate" if size == after else "accepted")
        assert ended(durable) == state


def test_a_broken_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(40)])
    durable.save()
    durable.accept([blob(i) for i in range(40, 70)])
    durable.save()
    durable.close()
    newest = durable.checkpoints.names()[-1]
    content = bytearray(newest.read_bytes())
    content[-3] ^= 1
    newest.write_bytes(content)
    durable = opened(tmp_path / "run")
    assert durable.learner.counts.accepted == 70
    durable.accept([blob(i) for i in range(70, 100)])
    assert ended(durable) == whole


def test_a_label_may_come_later(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    offers = [blob(i) for i in range(16)]
    first = [Offer(id=o.id, label=None, rows=o.rows) for o in offers]
    assert [r.status for r in durable.accept(first)] == ["accepted"] * 16
    assert durable.learner.counts.labelled == 0
    durable.close()
    durable = opened(tmp_path / "run")
    late = [Offer(id=o.id, label=o.label, rows=None) for o in offers]
    assert [r.status for r in durable.accept(late)] == ["labelled"] * 16
    assert [r.status for r in durable.accept(late)] == ["duplicate"] * 16
    unknown = durable.accept([Offer(id="never seen", label="a", rows=None)])
    assert unknown[0].status == "unknown"
    counts = durable.learner.counts
    assert (counts.accepted, counts.labelled, counts.learned) == (16, 16, 16)
    durable.close()


def test_a_label_may_come_with_its_image(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    sample = blob(0)
    receipts = durable.accept(
        [
            Offer(id="x", label=None, rows=sample.rows),
            Offer(id="x", label="a", rows=None),
            Offer(id="x", label="b", rows=None),
        ]
    )
    assert [r.status for r in receipts] == ["accepted", "labelled", "duplicate"]
    durable.close()


def test_the_pool_forgets_the_oldest(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run", {"pool_bytes": 2 * D * 3})
    durable.accept([Offer(id=f"s{i}", label=None, rows=blob(i).rows) for i in range(5)])
    assert [durable.open_for_label(f"s{i}") for i in range(5)] == [False] * 2 + [True] * 3
    assert durable.learner.counts.expired == 2
    durable.close()


def test_a_label_without_its_image_does_not_end_a_run(tmp_path: Path) -> None:
    """Journals have such labels that were written as their image left the pool."""
    durable = opened(tmp_path / "run", {"pool_bytes": 2 * D * 3, "learner": "replay"})
    durable.accept([Offer(id=f"s{i}", label=None, rows=blob(i).rows) for i in range(5)])
    late = Record(n=0, group=0, kind="label", id="s0", label="late", rows=None)
    durable.write_down([late])
    durable.close()
    again = opened(tmp_path / "run", {"pool_bytes": 2 * D * 3, "learner": "replay"})
    assert again.learner.counts.labelled == 0
    again.accept([blob(i) for i in range(10, 30)])
    assert again.learner.counts.learned == 16
    again.close()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    opened(tmp_path / "run").close()
    with pytest.raises(UsageError, match="another backbone"):
        DurableLearner(
            RunFolder(tmp_path / "run"),
            D,
            LearningSettings(),
            KeepingSettings(),
            identity="other",
            head_metadata={},
        )


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = opened(tmp_path / "run")
    with pytest.raises(RunFolderError, match="running here"):
        opened(tmp_path / "run")
    first.close()
    opened(tmp_path / "run").close()


def test_acknowledged_damage_is_never_passed_over(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    for i in range(6):
        durable.accept([blob(i)])
    durable.close()
    segment = segments(tmp_path / "run" / "journal")[-1]
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 1
    segment.write_bytes(content)
    with pytest.raises(DataError, match="rollback"):
        opened(tmp_path / "run")


def test_a_full_disk_loses_nothing(
    tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fifth write fails half-way, as on a full disk; the call is repeated."""
    real, calls = os.write, [0]

    def write(handle: int, data: bytes) -> int:
        calls[0] += 1
        if calls[0] % 5 == 0:
            real(handle, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    durable = opened(tmp_path / "run", checkpoint_seconds=0)
    failures = 0
    for start in range(0, 100, 5):
        offers = [blob(i) for i in range(start, start + 5)]
        while True:
            try:
                durable.accept(offers)
                break
            except JournalFullError:
                failures += 1
                assert durable.learner.counts.accepted == start
    assert failures > 1
    monkeypatch.setattr(os, "write", real)
    assert ended(durable) == whole


def test_the_journal_stays_within_its_budget(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run", journal_bytes=2**16)
    largest = 0
    for i in range(0, 1500, 10):
        durable.accept([blob(j) for j in range(i, i + 10)])
        largest = max(largest, durable.journal_bytes)
    durable.close()
    assert largest <= 2**16 + 2 * 10 * 400  # a group of ten goes over either mark
    assert len(durable.checkpoints.names()) <= 5


def test_metrics_have_each_line_once(tmp_path: Path) -> None:
    import json

    for at in (100, 200, 300):
        durable = opened(tmp_path / "run")
        durable.accept([blob(i) for i in range(at)])
        durable.close()  # no checkpoint: all is replayed
        with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
            file.write('{"batches": 99')  # torn
    opened(tmp_path / "run").close()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["batches"] for line in lines] == [1, 2, 4, 8, 16, 24, 32]


def test_classes_beyond_the_budget_are_refused(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run", max_classes=3)
    row = blob(0).rows
    labels = ["a", "b", "a", "c", "d", None, "c", "e"]
    offers = [Offer(id=f"x{i}", label=label, rows=row) for i, label in enumerate(labels)]
    statuses = [r.status for r in durable.accept(offers)]
    assert statuses == ["accepted"] * 4 + ["rejected", "accepted", "accepted", "rejected"]
    late = durable.accept([Offer(id="x5", label="f", rows=None)])[0]
    assert late.status == "rejected"
    assert "--max-classes" in str(late.reason)
    assert durable.accept([Offer(id="x5", label="b", rows=None)])[0].status == "labelled"
    assert durable.learner.classes == ["a", "b", "c"]
    durable.close()
    durable = opened(tmp_path / "run", max_classes=4)  # it may be raised
    assert durable.accept([offers[4]])[0].status == "accepted"
    durable.close()
