"""Photos of many requests, gathered into the batches of one engine.

A photo waits for others a few milliseconds at most while the engine is idle. While it is busy
there is nothing to hurry for: photos gather until it is free, or until there is a full batch, which
is decoded meanwhile.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.errors import EdgeTransferError, ImageError
from edgetransfer.features import FeatureBatch, ViewBatch
from edgetransfer.heads import LinearHead
from edgetransfer.linear import Classifier, Prediction
from edgetransfer.reprs import short_repr

logger = logging.getLogger(__name__)

KEPT = 1000  # latencies, for their quantiles


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """A photo on its way."""

    data: bytes
    top: int
    came: float
    prediction: Future[Prediction]

    __repr__ = short_repr


class BusyError(EdgeTransferError):
    """More photos wait than may."""


class Gatherer:
    """Predicts photos from any thread, in the order in which they come.

    Parameters
    ----------
    classifier
        Which it closes in the end.
    gather_seconds
        How long a photo waits for others at most.
    capacity
        Photos that wait at most.
    """

    def __init__(self, classifier: Classifier, *, gather_seconds: float, capacity: int) -> None:
        self.classifier = classifier
        self.photos = 0
        self.batches = 0
        self.latencies: deque[float] = deque(maxlen=KEPT)
        self._gather_seconds = gather_seconds
        self._capacity = capacity
        self._queue: deque[_Waiting] = deque()
        self._running: deque[list[_Waiting]] = deque()
        self._next: Classifier | None = None
        self._next_head: LinearHead | None = None
        self._closing = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="edgetransfer-serve", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Photos that wait for a batch."""
        return len(self._queue)

    def submit(self, photos: Sequence[bytes], *, top: int) -> list[Future[Prediction]]:
        """Predictions to come, each of ``top`` classes; of what is no photo, an `ImageError`.

        Raises
        ------
        BusyError
            If there is no room for as many; none was taken.
        """
        came = monotonic()
        waiting = [_Waiting(data=data, top=top, came=came, prediction=Future()) for data in photos]
        with self._changed:
            if self._closing or len(self._queue) + len(waiting) > self._capacity:
                raise BusyError("busy: send it again")
            self._queue.extend(waiting)
            self._changed.notify_all()
        return [photo.prediction for photo in waiting]

    def take_up_head(self, head: LinearHead) -> None:
        """Let another head on the same features predict from the next batch on."""
        self._next_head = head

    def take_up(self, classifier: Classifier) -> None:
        """Let another classifier predict what is not on its way yet; the one before is closed."""
        with self._changed:
            skipped, self._next = self._next, classifier
            self._changed.notify_all()
        if skipped is not None:
            skipped.close()

    def close(self) -> None:
        """Predict what waits, then let go of the classifier."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                for batch in self.classifier.extractor.extract_stream(self._take):
                    self._answer(batch)
            except Exception as error:  # those that wait must hear of it, and others go on
                logger.exception("a batch failed")
                self._fail(error)
            with self._changed:
                if self._next is not None:
                    before, self.classifier, self._next = self.classifier, self._next, None
                elif self._closing and not self._queue:
                    break
                else:
                    continue
            before.close()
        self.classifier.close()

    def _take(self, wait: bool) -> ViewBatch | None:
        """See `edgetransfer.features.Take`; None at the end of a classifier, too."""
        size = self.classifier.extractor.engine.batch_size
        with self._changed:
            while True:
                if self._next is not None:
                    return None
                due = self._queue[0].came + self._gather_seconds if self._queue else None
                full = len(self._queue) >= size
                if full or (wait and due is not None and (self._closing or due <= monotonic())):
                    break
                if not wait or self._closing:
                    return None
                self._changed.wait(None if due is None else max(0.0, due - monotonic()))
            taken = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
            self._running.append(taken)
        samples = [Sample(id="", source=photo.data) for photo in taken]
        return ViewBatch(samples=samples, indices=np.arange(len(samples)))

    def _answer(self, batch: FeatureBatch) -> None:
        photos = self._running.popleft()
        now = monotonic()
        classifier = self.classifier
        if (head := self._next_head) is not None:
            classifier.head, self._next_head = head, None
        rows = classifier.head.predict_proba(batch.features) if len(batch.features) else ()
        for place, row in zip(batch.indices.tolist(), rows, strict=True):
            prediction = classifier.prediction("", row, top=photos[place].top)
            photos[place].prediction.set_result(prediction)
        for place, reason in batch.failed:
            photos[place].prediction.set_exception(ImageError(reason))
        self.photos += len(photos)
        self.batches += 1
        self.latencies.extend(now - photo.came for photo in photos)

    def _fail(self, error: Exception) -> None:
        while self._running:
            for photo in self._running.popleft():
                if not photo.prediction.done():
                    photo.prediction.set_exception(error)
