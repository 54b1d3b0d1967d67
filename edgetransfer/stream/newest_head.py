"""The newest head of a learner that is solved, not stepped: made beside the stream, on demand.

A solution takes tens of milliseconds, whatever was learned since the last one. So it is made in a
thread of its own, a few times a second while samples come and not at all while none do; what it
takes of the processor is bounded, and so is how old a head can be that somebody is answered by.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic

from edgetransfer.heads import LinearHead

LEAST, MOST = 0.1, 0.3  # seconds between the begins of two solutions
SHARE = 10  # of the time, that solutions take at most, but for `MOST`


class NewestHead:
    """Solves a head again and again while it changes.

    Parameters
    ----------
    solve
        Makes the head from what was learned by now; called in another thread.
    """

    def __init__(self, solve: Callable[[], LinearHead]) -> None:
        self._solve = solve
        self._head: LinearHead | None = None
        self._changed = Condition()
        self._stale = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread: Thread | None = None

    def changed(self) -> None:
        """Say that something was learned."""
        with self._changed:
            self._stale = True
            self._changed.notify()

    def get(self) -> LinearHead:
        """The newest head there is; the first one is waited for.

        Raises
        ------
        BaseException
            What a solution failed at.
        """
        if self._error is not None:
            raise self._error
        if self._head is None:
            with self._changed:
                self._stale = False
            self._head = self._solve()
        if self._thread is None and not self._closed:
            self._thread = Thread(target=self._run, name="edgetransfer-solve", daemon=True)
            self._thread.start()
        return self._head

    def close(self) -> None:
        """End the thread; a solution that is under way is waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        begun = took = 0.0
        while True:
            with self._changed:
                while not self._closed and not self._stale:
                    self._changed.wait()
                pause = begun + min(max(SHARE * took, LEAST), MOST) - monotonic()
                while not self._closed and pause > 0:
                    self._changed.wait(pause)
                    pause = begun + min(max(SHARE * took, LEAST), MOST) - monotonic()
                if self._closed:
                    return
                self._stale = False
            begun = monotonic()
            try:
                self._head = self._solve()
            except BaseException as error:  # raised where the head is asked for
                self._error = error
                return
            took = monotonic() - begun
