"""The newest head of a learner that is solved, not stepped: made beside the stream, on demand.

A solution takes tens of milliseconds, whatever was learned since the last one. So it is made in a
thread of its own, a few times a second while samples come and not at all while none do; what it
takes of the processor is bounded, and so is how old a head can be that somebody is answered by.
Once no sample comes any more, the head becomes the very one that a stop would save.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from threading import Condition, Lock, Thread
from time import monotonic, thread_time

from edgetransfer.heads import LinearHead

LEAST, MOST = 0.1, 0.4  # seconds between the begins of two solutions
SHARE = 10  # of the time, that solutions take at most, but for `MOST`
SLOW = 3  # and of the time that they take where that is long: thousands of classes
BEHIND = 32  # samples that a head may lack; of a faster stream, who asks for it solves it
USUAL = 0.1  # seconds of a solution; a head may lack more samples where it takes longer
LONG = 0.25  # and any number from here on: nobody is kept waiting for seconds, `_run` is at it
REST = 1.0  # seconds without a sample, and `SHARE` times what it took last, before it is settled


class NewestHead:
    """Solves a head again and again while it changes.

    Parameters
    ----------
    solve
        Makes the head from what was learned by now; called in any thread, one at a time.
    prepare
        What may take longer, and is done beside solutions, in a thread of its own, one at a time:
        samples that come meanwhile are in the heads as soon as ever.
    settle
        Makes the head that is saved in the end; called there too, once nothing changes.
    """

    def __init__(
        self,
        solve: Callable[[], LinearHead],
        prepare: Callable[[], None],
        settle: Callable[[], LinearHead],
    ) -> None:
        self._solve = solve
        self._prepare = prepare
        self._settle = settle
        self._head: LinearHead | None = None
        self._solving = Lock()
        self._changed = Condition()
        self._lacks = 0  # changes that the head does not know of
        self._solutions = 0
        self._settling = -1  # that solution, or what came of it; -1 for none
        self._settling_took = 0.0  # seconds of processor
        self._closed = False
        # Seconds of processor: how long one waits for it on a busy machine says nothing.
        self._took: deque[float] = deque([0.0] * 3, maxlen=3)
        self._error: BaseException | None = None
        self._thread: Thread | None = None
        self._preparing: Thread | None = None

    def changed(self) -> None:
        """Say that a sample was learned."""
        with self._changed:
            self._lacks += 1
            if self._lacks == 1:
                self._changed.notify()

    def get(self) -> LinearHead:
        """The newest head there is; it lacks about `BEHIND` samples at most.

        Where a solution takes long it is a few of those old at most instead, and only the first
        is waited for.

        Raises
        ------
        BaseException
            What a solution failed at.
        """
        if self._error is not None:
            raise self._error
        head = self._head
        took = min(self._took)
        most = BEHIND * max(1.0, took / USUAL) if took < LONG else inf
        if head is None or self._lacks > most:
            with self._solving:
                head = self._head  # of another thread that was at it
                if head is None or self._lacks > most:
                    head = self._made()
        if self._thread is None and not self._closed:
            self._thread = Thread(target=self._run, name="edgetransfer-solve", daemon=True)
            self._thread.start()
        return head

    def close(self) -> None:
        """End the thread; a solution that is under way is waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for thread in (self._thread, self._preparing):
            if thread is not None:
                thread.join()

    def _made(self) -> LinearHead:
        with self._changed:
            self._lacks = 0
            self._solutions += 1  # before it is made: no older head may take its place
        begun = thread_time()
        self._head = self._solve()
        self._took.append(thread_time() - begun)
        return self._head

    def _run(self) -> None:
        begun = 0.0
        while True:
            with self._changed:
                settled = self._settling == self._solutions
                rest = max(REST, SHARE * self._settling_took)
                if not self._changed.wait_for(self._has_news, None if settled else rest):
                    known = self._solutions
                    if self._beside(partial(self._settled, known)):
                        self._settling = known  # here, so that it is not begun twice
                    continue
                took = min(self._took)
                due = begun + max(min(max(SHARE * took, LEAST), MOST), SLOW * took)
                while not self._closed and (pause := due - monotonic()) > 0:
                    self._changed.wait(pause)
                if self._closed:
                    return
            begun = monotonic()
            try:
                self._beside(self._prepared)
                with self._solving:
                    if self._lacks:
                        self._made()
            except BaseException as error:  # raised where the head is asked for
                self._error = error
                return

    def _has_news(self) -> bool:
        return self._closed or self._lacks > 0

    def _beside(self, work: Callable[[], None]) -> bool:
        """Begin it in the thread for what takes longer; False if that is at work."""
        if self._preparing is not None and self._preparing.is_alive():
            return False
        self._preparing = Thread(target=work, name="edgetransfer-choose", daemon=True)
        self._preparing.start()
        return True

    def _settled(self, known: int) -> None:
        begun = thread_time()
        try:
            head = self._settle()
        except BaseException as error:  # raised where the head is asked for
            self._error = error
            return
        self._settling_took = thread_time() - begun
        with self._changed:
            if known == self._solutions and not self._lacks:
                self._head = head

    def _prepared(self) -> None:
        try:
            self._prepare()
        except BaseException as error:  # as above
            self._error = error
