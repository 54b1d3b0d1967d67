"""Several sources as one: whatever comes first, wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import Empty, Full, Queue
from threading import Event, Thread

from edgetransfer.data.streams.arrivals import LONGEST_ID, Arrival, Ledger, Source

TICK = 0.25  # seconds between looks at whether to stop


class MergedSource:
    """Runs sources side by side, each in a thread of its own; ends when all have ended.

    No source holds up another, and each holds one arrival ready at most: a source that is faster
    than the stream waits. Where one fails, the stream ends with its error, once what came before
    has been taken.

    Parameters
    ----------
    sources
        At least one.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        coming: Queue[Arrival | BaseException | None] = Queue(len(self._sources))
        ended = Event()  # the reader has gone
        for source in self._sources:
            # Reading may block for ever (standard input): nobody waits for these threads.
            Thread(
                target=_pump,
                args=(source, stop, ended, ledger, coming),
                name="edgetransfer-source",
                daemon=True,
            ).start()
        running = len(self._sources)
        try:
            while running and not stop.is_set():
                try:
                    arrival = coming.get(timeout=TICK)
                except Empty:
                    continue
                if isinstance(arrival, BaseException):
                    raise arrival
                if arrival is None:
                    running -= 1
                else:
                    yield arrival
        finally:
            ended.set()


def _pump(
    source: Source,
    stop: Event,
    ended: Event,
    ledger: Ledger,
    coming: Queue[Arrival | BaseException | None],
) -> None:
    last: BaseException | None = None
    try:
        for arrival in source.arrivals(stop, ledger):
            if not _put(coming, arrival, stop, ended):
                return
    except BaseException as error:  # handed to the thread that reads
        last = error
    _put(coming, last, stop, ended)


def _put(
    coming: Queue[Arrival | BaseException | None],
    item: Arrival | BaseException | None,
    stop: Event,
    ended: Event,
) -> bool:
    while not stop.is_set() and not ended.is_set():
        try:
            coming.put(item, timeout=TICK)
        except Full:
            continue
        return True
    return False


class PrefixedSource:
    """A source whose ids have a text in front, so that they are not those of another one.

    Parameters
    ----------
    prefix
        Of the ids.
    """

    def __init__(self, source: Source, prefix: str) -> None:
        self._source = source
        self._prefix = prefix

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        for arrival in self._source.arrivals(stop, _Prefixed(ledger, self._prefix)):
            yield replace(arrival, id=f"{self._prefix}{arrival.id}"[:LONGEST_ID])


class _Prefixed:
    """A ledger that is asked by ids without the text in front."""

    def __init__(self, ledger: Ledger, prefix: str) -> None:
        self._ledger = ledger
        self._prefix = prefix

    def known(self, sample_id: str) -> bool:
        """See `Ledger.known`."""
        return self._ledger.known(f"{self._prefix}{sample_id}"[:LONGEST_ID])

    def open_for_label(self, sample_id: str) -> bool:
        """See `Ledger.open_for_label`."""
        return self._ledger.open_for_label(f"{self._prefix}{sample_id}"[:LONGEST_ID])
