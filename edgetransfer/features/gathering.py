"""Images of many askers, gathered into the batches of one engine.

An idle engine waits a few milliseconds for the next image before it runs those that are there,
also after a batch: whoever was answered asks again at once, and would else go into batches of two
halves for ever, each of which costs more an image than a whole one. While the engine is busy there
is nothing to hurry for: images gather until it is free, or until a whole batch can be decoded
meanwhile.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Generic, TypeVar

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.errors import EdgeTransferError
from edgetransfer.features.extractor import FeatureBatch, FeatureExtractor, ViewBatch
from edgetransfer.types import Float32Array

logger = logging.getLogger(__name__)

KEPT = 1000  # latencies, for their quantiles
AT_MOST = 4

Ticket = TypeVar("Ticket")
Answer = Callable[[list[Ticket], Mapping[int, Float32Array | str]], None]
"""Given those that asked, and by their places the (D,) features, or why there are none."""
Fail = Callable[[list[Ticket], Exception], None]


class BusyError(EdgeTransferError):
    """More images wait than may."""


@dataclass(frozen=True, kw_only=True)
class _Waiting(Generic[Ticket]):
    """An image on its way."""

    sample: Sample
    ticket: Ticket
    came: float


class Gatherer(Generic[Ticket]):
    """Runs images from any thread through an extractor, in the order in which they come.

    One thread calls everything that it is given, one call after the other.

    Parameters
    ----------
    extractor
        It is not closed in the end.
    answer
        Told the features of each batch.
    fail
        Told of a batch that the engine, or ``answer``, has failed at.
    gather_seconds
        How long it is waited for another image; for all of them `AT_MOST` times as long.
    capacity
        Images that wait at most.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        *,
        answer: Answer[Ticket],
        fail: Fail[Ticket],
        gather_seconds: float,
        capacity: int,
    ) -> None:
        self.images = 0
        self.batches = 0
        self.latencies: deque[float] = deque(maxlen=KEPT)
        self._extractor = extractor
        self._answer = answer
        self._fail = fail
        self._gather_seconds = gather_seconds
        self._capacity = capacity
        self._queue: deque[_Waiting[Ticket]] = deque()
        self._free_since = 0.0  # when the last batch ended
        self._running: deque[list[_Waiting[Ticket]]] = deque()
        self._next: tuple[FeatureExtractor, Callable[[], None]] | None = None
        self._closing = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="edgetransfer-gather", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Images that wait for a batch."""
        return len(self._queue)

    def submit(self, samples: Sequence[Sample], tickets: Sequence[Ticket]) -> None:
        """Send images on their way; each is answered or failed with its ticket.

        Raises
        ------
        BusyError
            If there is no room for as many; none was taken.
        """
        came = monotonic()
        waiting = [
            _Waiting(sample=sample, ticket=ticket, came=came)
            for sample, ticket in zip(samples, tickets, strict=True)
        ]
        with self._changed:
            if self._closing or len(self._queue) + len(waiting) > self._capacity:
                raise BusyError("busy: send it again")
            self._queue.extend(waiting)
            self._changed.notify_all()

    def replace(self, extractor: FeatureExtractor, then: Callable[[], None]) -> None:
        """Let another extractor run what is not on its way yet; ``then`` is called in between.

        It waits for that.
        """
        with self._changed:
            self._next = (extractor, then)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._next is None)

    def close(self) -> None:
        """Answer what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                for batch in self._extractor.extract_stream(self._take):
                    self._finish(batch)
            except Exception as error:  # those that wait must hear of it, and others go on
                logger.exception("a batch failed")
                while self._running:
                    self._fail([item.ticket for item in self._running.popleft()], error)
            with self._changed:
                if self._next is not None:
                    self._extractor, then = self._next
                    then()
                    self._next = None
                    self._changed.notify_all()
                elif self._closing and not self._queue:
                    return

    def _take(self, wait: bool) -> ViewBatch | None:
        """See `edgetransfer.features.Take`; None at the end of an extractor, too."""
        size = self._extractor.engine.batch_size
        with self._changed:
            while True:
                if self._next is not None:
                    return None
                due = self._due()
                hurry = due is not None and (self._closing or due <= monotonic())
                if len(self._queue) >= size or (wait and hurry):
                    break
                if not wait or self._closing:
                    return None
                self._changed.wait(None if due is None else max(0.0, due - monotonic()))
            taken = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
            self._running.append(taken)
        samples = [item.sample for item in taken]
        return ViewBatch(samples=samples, indices=np.arange(len(samples)))

    def _due(self) -> float | None:
        """When an idle engine has waited long enough: for the next one, and for all of them."""
        if not self._queue:
            return None
        last = max(self._queue[-1].came, self._free_since) + self._gather_seconds
        first = max(self._queue[0].came, self._free_since) + AT_MOST * self._gather_seconds
        return min(last, first)

    def _finish(self, batch: FeatureBatch) -> None:
        found: dict[int, Float32Array | str] = dict(batch.failed)
        for place, row in zip(batch.indices.tolist(), batch.features, strict=True):
            # A backbone may overflow on an image; nothing can be made of that.
            found[place] = row if np.isfinite(row).all() else "its features are not finite"
        self._answer([item.ticket for item in self._running[0]], found)
        done, now = self._running.popleft(), monotonic()
        self._free_since = now
        self.images += len(done)
        self.batches += 1
        self.latencies.extend(now - item.came for item in done)
