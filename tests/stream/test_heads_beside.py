"""The head of a checkpoint takes long where classes are many: it is solved beside the stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetransfer.heads import LinearHead
from edgetransfer.stream.keeping import derived
from edgetransfer.stream.learning.offers import Receipt
from edgetransfer.stream.learning.solved_heads import SolvedHeads
from tests.stream.held_work import Held, opened, sample, told


@pytest.fixture
def held_heads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """The exact heads of statistics, from the second on; each is taken for one that takes long."""
    exact = SolvedHeads.exact
    work = Held(exact)
    monkeypatch.setattr(derived, "LONG", 0.0)
    monkeypatch.setattr(SolvedHeads, "exact", lambda heads: work(heads))
    work.go.set()
    yield work
    work.go.set()


def test_an_answer_does_not_wait_for_the_head_of_a_checkpoint(
    held_heads: Held, tmp_path: Path
) -> None:
    run = opened(tmp_path / "run", "statistics", checkpoint_seconds=0)
    run.accept([sample(0), sample(1)])
    run.save()
    held_heads.go.clear()
    answered: list[Receipt] = []
    for i in range(2, 12):
        run.accept([sample(i)], told(answered))
    assert len(answered) == 10
    newest = run.checkpoints.newest()
    assert newest is not None
    assert newest.position == 12
    held_heads.go.set()
    run.save()
    saved = LinearHead.load(tmp_path / "run" / "head.safetensors")
    assert np.array_equal(saved.weights, run.learner.head.weights)
    run.close()


def test_a_head_that_is_written_beside_brings_nothing_back(
    held_heads: Held, tmp_path: Path
) -> None:
    run = opened(tmp_path / "run", "statistics", checkpoint_seconds=0)
    run.accept([sample(i) for i in range(6)])
    run.accept([sample(6, "gone")])
    held_heads.go.clear()
    run.accept([sample(7, "gone")])
    held_heads.go.set()
    run.remove(frozenset(), frozenset(["gone"]))
    run.close()  # whatever was written beside has been written
    head = LinearHead.load(tmp_path / "run" / "head.safetensors")
    assert head.classes == ("a", "b")
    assert "gone" not in (tmp_path / "run" / "report.json").read_text()
    assert "gone" not in (tmp_path / "run" / "labels.txt").read_text()


def test_what_a_head_fails_at_beside_is_told(
    held_heads: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opened(tmp_path / "run", "statistics")
    run.accept([sample(i) for i in range(6)])
    run.save()
    exact, beside = SolvedHeads.exact, run._derived

    def failing(_heads: SolvedHeads) -> LinearHead:
        raise FloatingPointError("no such head")

    monkeypatch.setattr(SolvedHeads, "exact", failing)
    beside.save_soon(run.learner)
    with pytest.raises(FloatingPointError, match="no such head"):
        beside.wait()
    monkeypatch.setattr(SolvedHeads, "exact", exact)
    run.save()
    run.close()
    head = LinearHead.load(tmp_path / "run" / "head.safetensors")
    assert head.classes == ("a", "b")
