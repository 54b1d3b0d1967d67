"""The bounded queue between a source and the learner."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition, Event, Thread
from time import monotonic

from edgetransfer.data.streams import Arrival, Ledger, Source

QUEUED_BYTES = 64 * 2**20
TICK = 0.25  # seconds between looks at whether to stop


class Intake:
    """Runs a source in a thread of its own, and holds a few of its arrivals ready.

    The source is not asked for more while the queue is full, in number or bytes.

    Parameters
    ----------
    source
        Where samples come from.
    size
        Arrivals held at most.
    stop
        Ends everything.
    """

    def __init__(self, source: Source, ledger: Ledger, size: int, stop: Event) -> None:
        self._queue: deque[tuple[Arrival, float]] = deque()
        self._bytes = 0
        self._size = size
        self._stop = stop
        self._ended = False
        self._error: BaseException | None = None
        self._changed = Condition()
        # Reading may block for ever (standard input): the process does not wait for this thread.
        self._thread = Thread(
            target=self._run, args=(source, ledger), name="edgetransfer-source", daemon=True
        )

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Arrivals that are held."""
        return len(self._queue)

    @property
    def ended(self) -> bool:
        """Whether the source has ended and nothing of it is held."""
        return self._ended and not self._queue

    def take(self, n: int, *, seconds: float) -> list[tuple[Arrival, float]]:
        """At most ``n`` arrivals, each with when it came; waits so long for the first.

        Raises
        ------
        BaseException
            What ended the source, once all that came before has been taken.
        """
        with self._changed:
            if not self._queue and not self._ended and seconds:
                self._changed.wait(seconds)
            taken = [self._queue.popleft() for _ in range(min(n, len(self._queue)))]
            self._bytes -= sum(_weight(arrival) for arrival, _ in taken)
            if taken:
                self._changed.notify_all()
            elif self._error is not None:
                error, self._error = self._error, None
                raise error
            return taken

    def join(self, seconds: float) -> None:
        """Give the source's thread some time to end."""
        with self._changed:
            self._changed.notify_all()
        self._thread.join(seconds)

    def _run(self, source: Source, ledger: Ledger) -> None:
        try:
            self._pump(source.arrivals(self._stop, ledger))
        except BaseException as error:  # handed to the thread that takes
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _pump(self, arrivals: Iterator[Arrival]) -> None:
        for arrival in arrivals:
            with self._changed:
                while self._queue and (
                    len(self._queue) >= self._size or self._bytes + _weight(arrival) > QUEUED_BYTES
                ):
                    if self._stop.is_set():
                        return
                    self._changed.wait(TICK)
                self._queue.append((arrival, monotonic()))
                self._bytes += _weight(arrival)
                self._changed.notify_all()
            if self._stop.is_set():
                return


def _weight(arrival: Arrival) -> int:
    if arrival.features is not None:
        return arrival.features.nbytes
    return len(arrival.source) if isinstance(arrival.source, bytes) else 0
