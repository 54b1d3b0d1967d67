"""The thread that solves: what takes long beside it holds nobody up, and what fails is said."""

from __future__ import annotations

from threading import Event
from time import monotonic, sleep

import numpy as np
import pytest

from edgetransfer.heads import LinearHead
from edgetransfer.stream.learning import newest_head
from edgetransfer.stream.learning.newest_head import NewestHead
from tests.waiting import until


def test_choosing_anew_does_not_hold_up_what_was_learned_meanwhile() -> None:
    begun, go_on, solved = Event(), Event(), Event()
    solutions: list[int] = []

    def solve() -> LinearHead:
        solutions.append(len(solutions))
        if begun.is_set():
            solved.set()
        return LinearHead.empty(3)

    def prepare() -> None:
        begun.set()
        assert go_on.wait(60)

    newest = NewestHead(solve, prepare, solve)
    newest.get()
    newest.changed()
    assert begun.wait(60)
    newest.changed()
    assert solved.wait(60)  # while it is still being chosen
    go_on.set()
    newest.close()
    assert len(solutions) >= 2


@pytest.mark.parametrize("which", ["solve", "prepare", "settle"])
def test_what_fails_beside_the_stream_is_raised_where_a_head_is_asked_for(which: str) -> None:
    failed = Event()

    def fail() -> None:
        failed.set()
        raise MemoryError("no room")

    first = [True]

    def solve() -> LinearHead:
        if which == "solve" and not first.pop():
            fail()
        first.append(False)
        return LinearHead.empty(3)

    def settle() -> LinearHead:
        if which == "settle":
            fail()
        return LinearHead.empty(3)

    newest = NewestHead(solve, fail if which == "prepare" else lambda: None, settle)
    newest.get()
    newest.changed()
    assert failed.wait(60)
    newest.close()
    with pytest.raises(MemoryError, match="no room"):
        newest.get()


def test_at_rest_the_head_becomes_the_one_that_is_saved() -> None:
    """Samples that come while it is made are not lost to it, and none makes it twice."""
    begun, go_on = Event(), Event()
    settled: list[int] = []
    learned = 0

    def head() -> LinearHead:
        return LinearHead(
            weights=np.full((1, 1), learned, np.float32),
            bias=np.zeros(1, np.float32),
            classes=("a",),
        )

    def settle() -> LinearHead:
        settled.append(learned)
        if len(settled) == 1:
            exact = head()
            begun.set()
            assert go_on.wait(60)
            return exact
        return LinearHead.empty(learned)

    newest = NewestHead(head, lambda: None, settle)
    assert newest.get().classes
    newest.changed()
    assert begun.wait(60)
    learned = 1
    newest.changed()
    until = monotonic() + 60
    while newest.get().weights[0, 0] != 1 and monotonic() < until:
        sleep(0.01)
    go_on.set()  # what was being made is of before
    sleep(0.05)
    assert newest.get().classes
    assert newest.get().weights[0, 0] == 1
    while newest.get().classes and monotonic() < until:
        sleep(0.01)
    assert newest.get().weights.shape[0] == 1  # the settled one of now
    sleep(1.2)
    newest.close()
    assert settled == [0, 1]


def test_nobody_waits_for_a_solution_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the first: the thread is at it, and what it makes is the next answer."""
    monkeypatch.setattr(newest_head, "LONG", 0.0)
    begun, go_on = Event(), Event()
    made: list[LinearHead] = []

    def solve() -> LinearHead:
        if made:
            begun.set()
            assert go_on.wait(60), "somebody waits for this, who should not"
        made.append(LinearHead.empty(len(made) + 1))
        return made[-1]

    newest = NewestHead(solve, lambda: None, solve)
    assert newest.get() is made[0]
    newest.changed()
    assert begun.wait(60)
    for _ in range(10 * newest_head.BEHIND):
        newest.changed()
        assert newest.get() is made[0]
    go_on.set()
    until(lambda: newest.get() is made[-1] is not made[0])
    newest.close()
