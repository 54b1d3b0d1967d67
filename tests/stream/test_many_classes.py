"""Thousands of classes: answered as soon as they are on disk, saved when it is worth it."""

from __future__ import annotations

import errno
import runpy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgetransfer.heads import LinearHead
from edgetransfer.runs import RunFolder
from edgetransfer.stream import KeepingSettings, LearningSettings
from edgetransfer.stream.keeping import pacing
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.keeping.journal import JournalFullError
from edgetransfer.stream.keeping.pacing import CheckpointPace
from edgetransfer.stream.learning.offers import Offer, Receipt

D = 12


def durable(tmp_path: Path, **keeping: float) -> DurableLearner:
    run = RunFolder.begin(tmp_path / "run", resume=True, overwrite=False)
    run.write("config.toml", "[stream]\n")
    return DurableLearner(
        run,
        D,
        LearningSettings(batch_size=4, reservoir_bytes=2000, refit_every=0),
        KeepingSettings(**keeping),  # type: ignore[arg-type]
        identity="x",
        head_metadata={},
    )


def offer(i: int, label: str | None) -> Offer:
    rows = np.full((1, D), i, np.float32)
    return Offer(id=f"n{i}", label=label, rows=rows)


def test_samples_are_answered_before_they_are_learned(tmp_path: Path) -> None:
    learner = durable(tmp_path)
    answered: list[tuple[str, str, int, int]] = []

    def written(receipts: Sequence[Receipt]) -> None:
        size = sum(path.stat().st_size for path in (tmp_path / "run" / "journal").iterdir())
        for receipt in receipts:
            answered.append(
                (receipt.id, receipt.status, learner.learner.counts.accepted, bool(size))
            )

    # The label of an image that was offered just before ends the first group.
    offers = [offer(0, "a"), offer(1, None), Offer(id="n1", label="b", rows=None), offer(2, "a")]
    receipts = learner.accept([*offers, offer(2, "a")], written)
    learner.close()
    assert [(r.id, r.status) for r in receipts] == [answer[:2] for answer in answered]
    assert answered == [
        ("n0", "accepted", 0, True),
        ("n1", "accepted", 0, True),
        ("n1", "labelled", 2, True),
        ("n2", "accepted", 2, True),
        ("n2", "duplicate", 2, True),
    ]


def test_on_a_full_disk_none_is_answered_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = durable(tmp_path)
    append = learner._journal.append
    left = [1]

    def full(records: Sequence[object]) -> int:
        if not left[0]:
            raise JournalFullError(errno.ENOSPC, "no room")
        left[0] -= 1
        return append(records)  # type: ignore[arg-type]

    offers = [offer(0, None), Offer(id="n0", label="b", rows=None), offer(1, "a")]
    answered: list[str] = []

    def written(receipts: Sequence[Receipt]) -> None:
        answered.extend(f"{receipt.id} {receipt.status}" for receipt in receipts)

    monkeypatch.setattr(learner._journal, "append", full)
    with pytest.raises(JournalFullError):
        learner.accept(offers, written)
    assert answered == ["n0 accepted"]
    left[0] = 2
    learner.accept(offers[len(answered) :], written)
    assert answered == ["n0 accepted", "n0 labelled", "n1 accepted"]
    assert learner.learner.counts.labelled == 2
    learner.close()


def test_what_is_written_is_learned_though_nobody_can_be_answered(tmp_path: Path) -> None:
    learner = durable(tmp_path)

    def gone(receipts: Sequence[Receipt]) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        learner.accept([offer(i, "ab"[i % 2]) for i in range(4)], gone)
    assert learner.learner.counts.learned == 4
    learner.save()
    learner.close()
    again = durable(tmp_path)
    assert again.position == 4
    assert again.accept([offer(0, "a")])[0].status == "duplicate"
    again.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("cost", "work", "due"),
    [(0.01, 0.0, True), (0.25, 0.0, True), (1.25, 3.9, False), (1.25, 4.0, True)],
)
def test_dear_checkpoints_wait_until_there_is_much_to_lose(
    monkeypatch: pytest.MonkeyPatch, cost: float, work: float, due: bool
) -> None:
    clock = Clock()
    monkeypatch.setattr(pacing, "monotonic", clock)
    pace = CheckpointPace(60)
    with pace.saving():
        clock.now += cost
    with pace.learning():
        clock.now += work
    assert not pace.due
    clock.now += 60.1
    assert pace.due == due
    with pytest.raises(OSError, match="full"), pace.saving():
        raise OSError("full")
    assert not pace.due  # it is tried again later
    clock.now += 60.1
    assert pace.due == due


def test_an_idle_stream_saves_what_is_due(tmp_path: Path) -> None:
    learner = durable(tmp_path, checkpoint_seconds=0.0)
    learner.accept([offer(0, "a")])
    assert len(learner.checkpoints.names()) == 2
    learner.save_if_due()
    assert len(learner.checkpoints.names()) == 2  # nothing new
    learner.close()


@pytest.mark.parametrize("learner", ["statistics", "replay"])
def test_the_benchmark_of_many_labels_measures_a_whole_run(tmp_path: Path, learner: str) -> None:
    program = Path(__file__).resolve().parents[2] / "benchmarks" / "many_labels.py"
    measured = runpy.run_path(str(program))["measured"]
    found = measured(learner, 40, D, tmp_path)
    assert found["labels"] == 40
    head = LinearHead.load(tmp_path / "run" / "head.safetensors")
    assert head.classes == tuple(f"class {i}" for i in range(40))
    assert 0 < found["answered"]["median"] <= found["free"]["median"]
    assert found["answered"]["most"] <= found["free"]["most"] < found["processor_seconds"]
