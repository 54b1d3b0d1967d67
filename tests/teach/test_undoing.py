"""Whatever a person does can be undone, over restarts too, and never what others did since."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgetransfer.stream.learning.ids import id_key
from tests.stream.stream_pictures import picture
from tests.teach.taught import Taught


@pytest.mark.slow
def test_any_steps_can_be_undone_and_a_restart_knows_all(tmp_path: Path) -> None:
    """Steps drawn at random: after each, the journal says what the album says; then all go back."""
    rng = np.random.default_rng(1)
    taught = Taught(tmp_path / "run")
    names = ["a", "b", "c"]
    before = []
    for step in range(40):
        before.append(taught.labels)
        ids = [p.id for p in taught.room.album.photos]
        some = [ids[i] for i in rng.integers(0, len(ids), 2)] if ids else []
        there = sorted(taught.room.album.counts)
        kind = rng.integers(6)
        steps = taught.lesson.undoable
        if kind == 0 or not some:
            label = names[rng.integers(3)] if rng.integers(2) else None
            taught.lesson.take_in([picture(int(i)) for i in rng.integers(0, 12, 3)], label)
        elif kind == 1:
            taught.lesson.label(some, names[rng.integers(3)])
        elif kind == 2:
            taught.lesson.unlabel(some)
        elif kind == 3:
            taught.lesson.forget(some[:1])
        elif there and kind == 4:
            taught.lesson.rename(there[0], names[rng.integers(3)])
        elif there:
            taught.lesson.forget_class(there[-1])
        if taught.labels == before[-1] and taught.lesson.undoable == steps:
            before.pop()
        if step % 10 == 9:
            now = taught.labels
            taught.close()
            taught = Taught(tmp_path / "run")
            assert taught.labels == now
            counts = taught.learner.durable.learner.class_counts
            there_now = taught.room.album.counts
            assert {k: v for k, v in counts.items() if v} == there_now
            before = []  # of the steps, those that forgot are gone
    taught.lesson.take_in([picture(50)], "a")
    for _ in range(3):
        ids = [p.id for p in taught.room.album.photos]
        for act in (
            lambda ids=ids: taught.lesson.label(ids[:2], "d"),
            lambda ids=ids: taught.lesson.unlabel(ids[:2]),
        ):
            was = taught.labels
            act()
            if taught.labels != was:
                assert taught.lesson.undo() is not None
                assert taught.labels == was
    taught.close()


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_undoing_everything_leaves_nothing(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    taught = Taught(tmp_path / "run")
    try:
        for _ in range(15):
            ids = [p.id for p in taught.room.album.photos]
            kind = rng.integers(5) if ids else 0
            one = ids[int(rng.integers(len(ids)))] if ids else ""
            if kind == 0:
                taught.lesson.take_in([picture(int(rng.integers(20)))], "a")
            elif kind == 1:
                taught.lesson.label([one], "bc"[rng.integers(2)])
            elif kind == 2:
                taught.lesson.unlabel([one])
            elif kind == 3:
                taught.lesson.forget([one])
            elif taught.room.album.counts:
                taught.lesson.rename(next(iter(taught.room.album.counts)), "d")
        while taught.lesson.undo() is not None:
            pass
        assert taught.labels == {}
        assert sum(taught.learner.durable.learner.class_counts.values()) == 0
    finally:
        taught.close()


def persisted(taught: Taught) -> Taught:
    taught.close()
    return Taught(taught.run)


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2, 3))])
def test_a_restart_between_any_two_steps_changes_nothing_of_undoing(
    tmp_path: Path, seed: int
) -> None:
    """Steps drawn at random, but none that forgets: the way back is the same, restarts or not."""
    rng = np.random.default_rng(seed)
    taught = Taught(tmp_path / "run")
    states, texts = [taught.labels], []
    for _ in range(6 if seed == 0 else 12):
        ids = [p.id for p in taught.room.album.photos]
        some = [ids[i] for i in rng.integers(0, len(ids), 2)] if ids else []
        kind = rng.integers(4) if ids else 0
        if kind == 0:
            label = [None, "a", "b"][rng.integers(3)]
            taught.lesson.take_in([picture(int(i)) for i in rng.integers(0, 12, 2)], label)
        elif kind == 1:
            taught.lesson.label(some, "abc"[rng.integers(3)])
        elif kind == 2:
            taught.lesson.unlabel(some)
        elif taught.room.album.counts:
            taught.lesson.rename(next(iter(taught.room.album.counts)), "d")
        if taught.labels != states[-1]:
            states.append(taught.labels)
            texts.append(taught.lesson.undoable)
        if rng.random() < 0.3:
            taught = persisted(taught)
    taught = persisted(taught)
    for text, state in zip(texts[::-1], states[-2::-1], strict=True):
        assert taught.lesson.undoable == text
        assert taught.lesson.undo() == text
        assert taught.labels == state
        if rng.random() < 0.3:
            taught = persisted(taught)
    assert taught.lesson.undo() is None
    taught.close()


def test_what_was_forgotten_is_gone_for_good_after_a_restart(taught: Taught) -> None:
    found = taught.give(picture(0), picture(1), label="red")
    taught.lesson.label([found[0]["id"]], "secret")
    taught.lesson.forget([found[0]["id"]])
    steps = (taught.run / "steps.json").read_text()
    assert "secret" not in steps
    assert id_key(found[0]["id"]).hex() not in steps
    again = persisted(taught)
    try:
        assert again.lesson.undoable == "took in 2 photos as red"
        again.lesson.undo()
        assert again.labels == {}
        assert again.lesson.undo() is None
    finally:
        again.close()


def test_a_step_lets_go_of_what_others_have_corrected_since(taught: Taught) -> None:
    """A program labels photos over HTTP, beside the page: undoing must not take that back."""
    ids = [p["id"] for p in taught.give(picture(0), picture(1))]
    taught.lesson.label(ids, "a")
    taught.room.learner.durable.relabel(ids[:1], "b")
    taught.room.album.relabel(ids[:1], "b")
    taught.lesson.undo()
    assert {p.id.partition("~")[0]: p.label for p in taught.room.album.photos} == {
        ids[0]: "b",
        ids[1]: None,
    }
    taught.lesson.undo()  # of taking in: the corrected one stays
    assert [p.label for p in taught.room.album.photos] == ["b"]
    assert taught.lesson.undoable is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"version":1}', b'{"version":1,"steps":[{}]}', b"\xff", b"[" * 9999]
)
def test_damaged_steps_are_begun_anew(tmp_path: Path, content: bytes) -> None:
    taught = Taught(tmp_path / "run")
    taught.give(picture(0), label="a")
    taught.close()
    (taught.run / "steps.json").write_bytes(content)
    again = Taught(tmp_path / "run")
    try:
        assert again.lesson.undo() is None
        assert len(again.room.album) == 1
        again.lesson.rename("a", "b")
        assert again.lesson.undo() == "renamed a to b"
    finally:
        again.close()
