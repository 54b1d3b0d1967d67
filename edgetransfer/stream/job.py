"""One stream, from its source to its end: the straight line that never looks back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, RLock
from time import monotonic

from edgetransfer.data.labels import Spellings
from edgetransfer.data.streams import Arrival, Source
from edgetransfer.errors import EdgeTransferError
from edgetransfer.features import FeatureBatch, ViewBatch
from edgetransfer.metrics import peak_memory_bytes
from edgetransfer.reports.stream import LearnedRecord
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.stream.asked import AskedChanges
from edgetransfer.stream.full_disk import once_there_is_room
from edgetransfer.stream.intake import TICK, Intake
from edgetransfer.stream.keeping.derived import draw_curve
from edgetransfer.stream.keeping.journal import JournalFullError
from edgetransfer.stream.learner import OnlineLearner, gather, why_unreadable
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.pausing import Manners
from edgetransfer.stream.refusals import Refusals
from edgetransfer.stream.snapshot import Snapshot, Throughput

logger = logging.getLogger(__name__)

AHEAD = 4  # engine batches that are read ahead
BEHIND = 2  # groups that may wait for the learner while the engine goes on

Watch = Callable[[Snapshot], None]
"""Told how the stream goes, a few times a second."""


@dataclass(kw_only=True)
class _Group:
    """Arrivals that are taken in together.

    ``refused`` says what is wrong with those that cannot be used, by place; ``images`` are the
    places of those that go through the engine, ``left`` how many of its batches are still to come.
    """

    arrivals: list[tuple[Arrival, float]]
    refused: dict[int, str]
    images: list[int]
    left: int
    batches: list[FeatureBatch] = field(default_factory=list)


class StreamJob:
    """Takes groups of arrivals through the engine and into the learner, in order.

    Up to three engine batches are on their way at a time; when a group's last batch is through,
    it is taken in and its samples answered, by a thread of its own: the engine need not wait for
    the disk and the head. That thread alone changes the learner, and who reads it takes the lock.
    """

    def __init__(
        self,
        settings: StreamSettings,
        learner: OnlineLearner,
        source: Source,
        board: Throughput,
        stop: Event,
        watch: Watch | None,
    ) -> None:
        self.settings = settings
        self.learner = learner
        self.durable = learner.durable
        self._board = board
        self._stop = stop
        self._watch = watch
        self._watched = 0.0
        self._source = source
        self._at_once = learner.engine.batch_size
        self._intake = Intake(source, self.durable, AHEAD * self._at_once, stop)
        self._groups: deque[_Group] = deque()
        self._views: deque[ViewBatch] = deque()
        self._learning = ThreadPoolExecutor(1, thread_name_prefix="edgetransfer-learn")
        self._lock = RLock()
        self._behind: deque[tuple[int, Future[None]]] = deque()  # arrivals, and when they are in
        self._failed = False
        self._more = False  # to learn, of what nothing waits for any more
        self._no_room: str | None = None
        self._manners = Manners(
            pause_on_battery=settings.pause_on_battery, max_memory=settings.max_memory
        )
        self._asked = AskedChanges(learner)
        self._refusals = Refusals(self.durable.run)
        self._spellings = Spellings(self.durable.learner.classes)

    def run(self) -> LearnedRecord:
        """From now to the end."""
        start = monotonic()
        began = self.durable.accepted
        self._show(force=True)
        self._intake.start()
        features = self.learner.extractor.extract_stream(self._take)
        try:
            for batch in features:
                self._finish(batch)
            self._settle()
            self._flush_at_the_end()
        except (EdgeTransferError, OSError):
            self._learning.shutdown(wait=True)
            self.durable.save()
            raise
        finally:
            features.close()
            self._stop.set()
            self._intake.join(1.0)
            self._learning.shutdown(wait=True)
        self.durable.save()
        seconds = monotonic() - start
        final = None
        if self.settings.test_data is not None and self.durable.learner.head.classes:
            final = self.learner.evaluate(self.settings.test_data)
        self._show(force=True)
        return {
            **self.durable.report(),
            "final": final,
            "curve": draw_curve(self.durable.learner, self.durable.run),
            "refused": self._refusals.count,
            "seconds": seconds,
            "samples_per_second": (self.durable.accepted - began) / max(seconds, 1e-9),
            "stages": self.learner.clock.seconds,
            "peak_memory_bytes": peak_memory_bytes(),
            "engine": self.learner.engine.choice.name,
        }

    # Taking in

    @property
    def _full(self) -> bool:
        """Whether the run has as many samples as it may have."""
        limit = self.settings.limit
        return limit is not None and self.durable.accepted >= limit

    def _take(self, wait: bool) -> ViewBatch | None:
        """What the engine is to see next; see `edgetransfer.features.Take`."""
        while True:
            if self._views:
                return self._views.popleft()
            if self._stop.is_set() or self._intake.ended:
                break
            if wait:
                self._settle()  # there is time for it
            arrivals = self._arrivals(wait)
            if arrivals:
                self._begin(arrivals)
            elif not wait or self._full:
                break
            elif not self._groups and not self._behind:
                self._flush_if_due()
        if wait:
            self._finish_ready()
        return None

    def _arrivals(self, wait: bool) -> list[tuple[Arrival, float]]:
        reason = self._manners.reason_to_pause()
        self._board.paused = reason or self._no_room
        self._show()
        if self._asked.due():  # done by the thread that learns, between two groups
            self._behind.append((0, self._learning.submit(self._do_asked)))
        if reason is not None:
            if wait:
                self._stop.wait(TICK)
            return []
        n = self._at_once
        if self.settings.limit is not None:
            ahead = sum(len(group.arrivals) for group in self._groups)
            ahead += sum(n for n, _ in self._behind)
            n = min(n, self.settings.limit - self.durable.accepted - ahead)
        return (
            self._intake.take(n, seconds=TICK if wait and not self._more else 0.0) if n > 0 else []
        )

    def _begin(self, arrivals: list[tuple[Arrival, float]]) -> None:
        """Send a group on its way; what needs no engine is answered when its turn comes."""
        images = []
        refused = {}
        for place, (arrival, _) in enumerate(arrivals):
            problem = arrival.problem
            known = arrival.learn and self.durable.known(arrival.id)
            if problem is None and not known and isinstance(arrival.source, Path):
                problem = why_unreadable(arrival.source)
            if problem is None and not known and arrival.source is not None:
                problem = self.learner.in_hand.why_set_aside(arrival)
            if problem is not None:
                refused[place] = problem
            elif arrival.source is not None and not known:
                images.append(place)
        batches = self.learner.view_batches([arrivals[i][0] for i in images]) if images else []
        self._views.extend(batches)
        self._groups.append(
            _Group(arrivals=arrivals, refused=refused, images=images, left=len(batches))
        )
        if len(self._groups) == 1:
            self._finish_ready()

    # Learning

    def _finish(self, batch: FeatureBatch) -> None:
        group = self._groups[0]
        group.batches.append(batch)
        group.left -= 1
        self._finish_ready()
        self._show()

    def _finish_ready(self) -> None:
        while self._groups and not self._groups[0].left:
            group = self._groups.popleft()
            self._behind.append((len(group.arrivals), self._learning.submit(self._learn, group)))
            self._settle(BEHIND)

    def _settle(self, behind: int = 0) -> None:
        """Wait until at most so many groups wait for the learner.

        Raises
        ------
        BaseException
            What the learner failed at.
        """
        while self._behind and (len(self._behind) > behind or self._behind[0][1].done()):
            self._behind.popleft()[1].result()

    def _flush_if_due(self) -> None:
        """Learn what has waited long enough, and save what is due; nothing else is in hand."""
        with self._lock:
            self._more = self.durable.catch_up()
            seconds = self.settings.keeping.flush_seconds
            self._until_there_is_room(lambda: self.durable.flush_if_waiting(seconds))
            self.durable.save_if_due()

    def _flush_at_the_end(self) -> None:
        """Learn what waits for a full batch; when the stream was stopped, not at any price."""
        if not self._stop.is_set():
            self._until_there_is_room(self.durable.flush)
            return
        try:
            self.durable.flush()
        except JournalFullError:
            logger.warning("the disk is full: what waits for a full batch is learned later")

    def _learn(self, group: _Group) -> None:
        if self._failed:  # nothing overtakes what could not be taken in
            return
        self._failed = True
        with self._lock, self.learner.clock.measure("head"):
            self._take_in(group)
        self._failed = False

    def _do_asked(self) -> None:
        with self._lock:
            self._asked.do()

    def _take_in(self, group: _Group) -> None:
        rows, problems = gather(group.batches)
        place_of = {place: i for i, place in enumerate(group.images)}
        offers: list[Offer] = []
        offered: list[tuple[Arrival, float]] = []
        for place, (arrival, came) in enumerate(group.arrivals):
            image = place_of.get(place)
            if place in group.refused:
                self._refuse(arrival, group.refused[place])
            elif image is not None and image in problems:
                self._refuse(arrival, problems[image])
            elif not arrival.learn:
                assert image is not None
                arrival.reply(
                    {
                        "id": arrival.id,
                        "status": "predicted",
                        "classes": self.learner.probabilities(rows[image]),
                    }
                )
            else:
                given = arrival.features if image is None else rows[image]
                if arrival.label is not None:
                    self._spellings.see(arrival.label)
                offers.append(
                    Offer(
                        id=arrival.id,
                        label=arrival.label,
                        rows=given,
                        correction=arrival.correction,
                    )
                )
                offered.append((arrival, came))
        answered = 0

        def answer(receipts: Sequence[Receipt]) -> None:
            nonlocal answered
            now = monotonic()
            for receipt in receipts:
                arrival, came = offered[answered]
                answered += 1
                if receipt.status == "rejected":
                    self._refuse(arrival, str(receipt.reason))
                    continue
                arrival.reply(receipt.as_json())
                self._board.acknowledged(now - came)

        def accept() -> None:  # answered as soon as they are on disk: learning takes longer
            self.durable.accept(offers[answered:], answer)

        self._until_there_is_room(accept)

    def _until_there_is_room(self, write: Callable[[], None]) -> None:
        """Write to the journal; on a full disk, wait for room."""
        once_there_is_room(
            write,
            self.durable.run.path,
            self._stop,
            then="goes on",
            otherwise=": what was in hand was not acknowledged and not learned; send it again when "
            "there is room",
            paused=self._pause,
        )

    def _pause(self, reason: str | None) -> None:
        self._board.paused = self._no_room = reason
        if reason is not None:
            self._show(force=True)

    def _refuse(self, arrival: Arrival, reason: str) -> None:
        self._refusals.add(arrival.id, reason)
        arrival.reply({"id": arrival.id, "status": "rejected", "reason": reason})

    def _show(self, *, force: bool = False) -> None:
        """Let others see how it goes."""
        now = monotonic()
        if not force and now - self._watched < TICK:
            return
        # While the learner is busy the picture would have to wait for it: it comes a bit later.
        if not self._lock.acquire(blocking=force):
            return
        try:
            self._watched = now
            snapshot = self._board.look(queued=self._intake.waiting, refused=self._refusals.count)
            if self._watch is not None:
                self._watch(snapshot)
        finally:
            self._lock.release()
