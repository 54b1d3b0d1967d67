"""Samples from HTTP clients."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from queue import Empty, Full, Queue
from threading import Event
from typing import Any

from edgetransfer.data.streams import Arrival, Ledger
from edgetransfer.stream.http.routes import StreamRoutes
from edgetransfer.stream.snapshot import Throughput
from edgetransfer.web import WebServer

logger = logging.getLogger(__name__)

TICK = 0.25
LONGEST_WAIT = 30.0  # seconds until a client is told to come again


class _Answer:
    """What became of one sample, for the thread of its connection."""

    def __init__(self) -> None:
        self._there = Event()
        self._outcome: Mapping[str, Any] | None = None

    def __call__(self, outcome: Mapping[str, Any]) -> None:
        self._outcome = outcome
        self._there.set()

    def wait(self, seconds: float, stop: Event) -> Mapping[str, Any] | None:
        """The outcome; None if it does not come in time, or the stream stops."""
        while seconds > 0 and not self._there.wait(min(TICK, seconds)):
            seconds -= TICK
            if stop.is_set() and not self._there.wait(5.0):  # it may be in hand
                break
        return self._outcome


class HttpSource:
    """Runs a `WebServer` and yields what its clients send.

    Parameters
    ----------
    capacity
        Samples that wait at most; clients beyond that are told to come again.
    names
        That the server answers to; see `WebServer`.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        board: Throughput,
        token: str | None,
        longest: int,
        capacity: int,
        names: Collection[str] = (),
    ) -> None:
        self._queue: Queue[Arrival] = Queue(capacity)
        self._stop = Event()
        self.server = WebServer(
            host,
            port,
            routes=StreamRoutes(board, self).table(),
            token=token,
            longest=longest,
            names=names,
        )

    def submit(self, arrival: Arrival) -> Mapping[str, Any] | None:
        """See `Desk.submit`."""
        answer = _Answer()
        try:
            self._queue.put_nowait(replace(arrival, reply=answer))
        except Full:
            return None
        return answer.wait(LONGEST_WAIT, self._stop)

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        del ledger
        self._stop = stop
        self.server.start()
        host = str(self.server.server_address[0])
        logger.info("listening on http://%s:%d", host, self.server.port)
        try:
            while not stop.is_set():
                try:
                    yield self._queue.get(timeout=TICK)
                except Empty:
                    continue
        finally:
            self.server.stop()
