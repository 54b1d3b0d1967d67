"""Images to features, with decoding and the engine overlapped and memory bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from time import perf_counter, thread_time
from typing import Any, Protocol

import numpy as np

from edgetransfer.closing import Closing
from edgetransfer.data import Sample
from edgetransfer.engines import Engine, available_cores
from edgetransfer.errors import ImageError
from edgetransfer.features.core_limit import CoreLimit
from edgetransfer.features.notes import DamageNotes
from edgetransfer.images import (
    EvalTransform,
    TrainTransform,
    View,
    normalise,
    open_upright,
    render,
    view_rng,
)
from edgetransfer.metrics import StageClock
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Preprocessing

BATCHES_AHEAD = 2  # decoded or being decoded while the engine runs on another
IMAGES_PER_TASK = 4


@dataclass(frozen=True, kw_only=True)
class TrainView:
    """Augmented views: that of image i depends on (seed, epoch, i) alone.

    Parameters
    ----------
    area, flip
        As in `TrainTransform`.
    """

    seed: int
    epoch: int
    area: tuple[float, float] = (0.08, 1.0)
    flip: float = 0.5

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class ViewBatch:
    """One engine batch to be made.

    Parameters
    ----------
    samples
        Where the images are.
    indices
        (n,) int64 indices into them, n at most the engine's batch size.
    keys
        (n,) int64, not negative: what the augmented view of each depends on beside
        (seed, epoch); the indices themselves if None.
    train
        Which augmented views to show; the eval view if None.
    """

    samples: Sequence[Sample]
    indices: IntArray
    keys: IntArray | None = None
    train: TrainView | None = None

    __repr__ = short_repr


Take = Callable[[bool], ViewBatch | None]
"""Asked for the next batch; may only wait for one to come if told True. None: none now, or,
after waiting, none ever."""


@dataclass(frozen=True, kw_only=True)
class FeatureBatch:
    """The features of one batch.

    Parameters
    ----------
    indices
        (n,) int64: which of the samples these are, in the order asked for.
    features
        (n, D) float32.
    failed
        Index and reason of each sample of this batch that could not be decoded.
    """

    indices: IntArray
    features: Float32Array
    failed: tuple[tuple[int, str], ...]

    __repr__ = short_repr


class DecodeWatch(Protocol):
    """Told by each decoding thread what it has in hand."""

    def began(self, sample_id: str) -> None:
        """It decodes this sample now."""

    def ended(self) -> None:
        """It is done with that."""


@dataclass(frozen=True, kw_only=True)
class _InHand:
    """A batch on its way: its buffer, the decoding of its images, and its features to come."""

    buffer: Float32Array
    tasks: list[Future[list[tuple[int, str]]]]
    features: Future[FeatureBatch]


class FeatureExtractor(Closing):
    """Runs samples through decoding, a view and an engine.

    Worker threads decode ahead into a few batch buffers, and one thread an engine runs batches,
    while the calling thread does what it likes with the features so far. So memory does not grow
    with the number of images, and neither the number of workers nor anybody's timing has any
    influence on the result.

    Parameters
    ----------
    engine
        Its batch size is the batch size of the features.
    preprocessing
        Of the backbone.
    workers
        Decoding threads; as many as there are cores if None.
    clock
        Told where the time goes.
    streams
        More engines of the same backbone and batch, opened alike: each runs batches of its own.
    cores
        How many cores all of it may keep busy at a time; all there are if None.
    watch
        Told which samples are being decoded.
    """

    def __init__(
        self,
        engine: Engine,
        preprocessing: Preprocessing,
        *,
        workers: int | None = None,
        clock: StageClock | None = None,
        streams: Sequence[Engine] = (),
        cores: int | None = None,
        watch: DecodeWatch | None = None,
    ) -> None:
        self.engine = engine
        self.preprocessing = preprocessing
        self.clock = clock if clock is not None else StageClock()
        self._eval = EvalTransform(size=preprocessing.size, resize=preprocessing.resize)
        self._idle: list[deque[Float32Array]] = []  # buffers of generators that have ended
        self.cores = cores
        self._watch = watch
        self._notes = DamageNotes()
        self.workers = workers or available_cores()
        self._limit = CoreLimit(cores)
        self.engines = (engine, *streams)
        self._streams = len(self.engines)
        self._free_engines = deque(self.engines)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="edgetransfer-decode")
        self._forwards = ThreadPoolExecutor(
            self._streams, thread_name_prefix="edgetransfer-forward"
        )

    def close(self) -> None:
        """Stop the workers; what they have not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._forwards.shutdown(wait=True, cancel_futures=True)

    def extract(
        self,
        samples: Sequence[Sample],
        order: IntArray | None = None,
        *,
        train: TrainView | None = None,
    ) -> Generator[FeatureBatch, None, None]:
        """Yield the features of samples, batch by batch.

        Parameters
        ----------
        order
            (n,) int64 indices into the samples; all of them in order if None.
        train
            Which augmented views to show; the eval view if None.
        """
        if order is None:
            order = np.arange(len(samples))
        size = self.engine.batch_size
        batches = iter(
            [
                ViewBatch(samples=samples, indices=order[i : i + size], train=train)
                for i in range(0, len(order), size)
            ]
        )
        yield from self.extract_stream(lambda _wait: next(batches, None))

    def extract_stream(self, take: Take) -> Generator[FeatureBatch, None, None]:
        """Yield the features of batches that come one by one, in the order they come.

        While the engine runs on one batch the next ones are decoded, as far as ``take`` gives
        any without waiting; a batch in hand never waits for one that may come.
        """
        free = self._idle.pop() if self._idle else self._new_buffers()
        ahead: deque[_InHand] = deque()

        def submit_next() -> bool:
            batch = take(not ahead)
            if batch is None:
                return False
            buffer = free.popleft()
            tasks = [
                self._pool.submit(self._fill, batch, i, buffer[i:])
                for i in range(0, len(batch.indices), IMAGES_PER_TASK)
            ]
            features = self._forwards.submit(self._run, batch.indices, buffer, tasks)
            ahead.append(_InHand(buffer=buffer, tasks=tasks, features=features))
            return True

        try:
            while True:
                while free and submit_next():
                    pass
                if not ahead:
                    return
                features = ahead[0].features.result()
                free.append(ahead.popleft().buffer)  # taken again after the consumer comes back
                yield features
        finally:
            # No thread may write into a buffer that the next generator takes.
            futures: list[Future[Any]] = []
            for in_hand in ahead:
                futures += [*in_hand.tasks, in_hand.features]
            wait([future for future in futures if not future.cancel()])
            free.extend(in_hand.buffer for in_hand in ahead)
            self._idle.append(free)

    def _new_buffers(self) -> deque[Float32Array]:
        shape = self.engine.input_shape
        return deque(np.empty(shape, np.float32) for _ in range(BATCHES_AHEAD + self._streams))

    def _run(
        self,
        batch: IntArray,
        buffer: Float32Array,
        tasks: list[Future[list[tuple[int, str]]]],
    ) -> FeatureBatch:
        """Wait for a batch to be decoded and send it through an engine."""
        failed = [failure for task in tasks for failure in task.result()]
        n = len(batch)
        if failed:
            bad = {index for index, _ in failed}
            good = np.array([i not in bad for i in batch.tolist()], bool)
            batch = batch[good]
            n = len(batch)
            buffer[:n] = buffer[: len(good)][good]
        if n == 0:
            empty = np.empty((0, self.engine.dimension), np.float32)
            return FeatureBatch(indices=batch, features=empty, failed=tuple(failed))
        engine = self._free_engines.popleft()  # there are as many as threads that run this
        try:
            with self._limit.cores(self._limit.most // self._streams):
                start = perf_counter()
                features = engine.run(buffer[:n])
                # Streams run side by side; their sum would be more than the time that passed.
                self.clock.add(forward=(perf_counter() - start) / self._streams)
        finally:
            self._free_engines.append(engine)
        return FeatureBatch(indices=batch, features=features, failed=tuple(failed))

    def _fill(self, batch: ViewBatch, first: int, out: Float32Array) -> list[tuple[int, str]]:
        with self._limit.cores(1):
            return self._decode(batch, first, out)

    def _decode(self, batch: ViewBatch, first: int, out: Float32Array) -> list[tuple[int, str]]:
        """Decode one task's images of a batch into rows; returns the failures."""
        indices = batch.indices[first : first + IMAGES_PER_TASK]
        keys = indices if batch.keys is None else batch.keys[first : first + IMAGES_PER_TASK]
        failed = []
        start, decode, transform = thread_time(), 0.0, 0.0
        for row, (index, key) in enumerate(zip(indices.tolist(), keys.tolist(), strict=True)):
            views: list[tuple[View, tuple[int, int]]] = []

            def shrink(
                width: int,
                height: int,
                key: int = key,
                views: list[tuple[View, tuple[int, int]]] = views,
            ) -> float:
                view = self._view(width, height, key, batch.train)
                views.append((view, (width, height)))
                return view.shrink

            sample = batch.samples[index]
            if self._watch is not None:
                self._watch.began(sample.id)
            try:
                picture = open_upright(sample.read(), shrink, partial(self._notes.add, sample.id))
            except ImageError as error:
                failed.append((index, str(error)))
                continue
            except OSError as error:
                failed.append((index, error.strerror or str(error)))
                continue
            finally:
                if self._watch is not None:
                    self._watch.ended()
            decoded = thread_time()
            view, full_size = views[0]
            shown = render(picture, view, full_size, self.preprocessing)
            normalise(shown, self.preprocessing, out[row])
            decode += decoded - start
            start = thread_time()
            transform += start - decoded
        self.clock.add(decode=decode, transform=transform)
        return failed

    def _view(self, width: int, height: int, key: int, train: TrainView | None) -> View:
        if train is None:
            return self._eval.view(width, height)
        transform = TrainTransform(size=self.preprocessing.size, area=train.area, flip=train.flip)
        return transform.view(width, height, view_rng(train.seed, train.epoch, key))
