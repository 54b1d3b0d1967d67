"""The thread that solves: what takes long beside it holds nobody up, and what fails is said."""

from __future__ import annotations

from threading import Event

import pytest

from edgetransfer.heads import LinearHead
from edgetransfer.stream.learning.newest_head import NewestHead


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

    newest = NewestHead(solve, prepare)
    newest.get()
    newest.changed()
    assert begun.wait(60)
    newest.changed()
    assert solved.wait(60)  # while it is still being chosen
    go_on.set()
    newest.close()
    assert len(solutions) >= 2


@pytest.mark.parametrize("which", ["solve", "prepare"])
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

    newest = NewestHead(solve, fail if which == "prepare" else lambda: None)
    newest.get()
    newest.changed()
    assert failed.wait(60)
    newest.close()
    with pytest.raises(MemoryError, match="no room"):
        newest.get()
