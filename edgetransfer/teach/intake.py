"""Photos in, answered when they are on disk: the page's, and those of programs beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass
from threading import RLock
from time import monotonic
from typing import Any

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.data.streams import Arrival
from edgetransfer.errors import EdgeTransferError
from edgetransfer.features.gathering import Gatherer
from edgetransfer.heads import LinearHead
from edgetransfer.reprs import short_repr
from edgetransfer.stream import OnlineLearner
from edgetransfer.stream.keeping.journal import JournalFullError
from edgetransfer.stream.learning.offers import Offer
from edgetransfer.stream.snapshot import Throughput
from edgetransfer.teach.album import Album
from edgetransfer.teach.familiarity import Familiarity
from edgetransfer.teach.thumbnails import Thumbnails
from edgetransfer.types import Float32Array

logger = logging.getLogger(__name__)

LONGEST_WAIT = 30.0  # seconds until a client is told to come again
GATHER_SECONDS = 0.004
WAITING = 512  # photos that wait at most


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A photo on its way: what will be known of it, and when it came."""

    arrival: Arrival
    outcome: Future[dict[str, Any]]
    came: float

    __repr__ = short_repr


class Intake:
    """Takes photos through the engine and into the learner; see `Desk` of a stream.

    Parameters
    ----------
    lock
        Held while learner and album change.
    head
        The newest, which guesses.
    familiarity
        The newest, or None; tells of a photo that shows none of the classes.
    changed
        Called after each change.
    """

    def __init__(
        self,
        learner: OnlineLearner,
        album: Album,
        thumbnails: Thumbnails,
        board: Throughput,
        *,
        lock: RLock,
        head: Callable[[], LinearHead],
        familiarity: Callable[[], Familiarity | None],
        changed: Callable[[], None],
    ) -> None:
        self.refused = 0
        self._learner = learner
        self._album = album
        self._thumbnails = thumbnails
        self._board = board
        self._lock = lock
        self._head = head
        self._familiarity = familiarity
        self._changed = changed
        self.gatherer: Gatherer[Ticket] = Gatherer(
            learner.extractor,
            answer=self._answer,
            fail=_fail,
            gather_seconds=GATHER_SECONDS,
            capacity=WAITING,
        )

    def submit(self, arrival: Arrival) -> Mapping[str, Any] | None:
        """What became of a sample; None if there is no room, or it takes too long."""
        if arrival.source is None:
            return self.give_label(arrival)
        return self.waited(self.begin(arrival), arrival)

    def give_label(self, arrival: Arrival) -> Mapping[str, Any]:
        """Give an earlier sample its label."""
        with self._lock:
            receipt = self._learner.durable.accept(
                [Offer(id=arrival.id, label=arrival.label, rows=None)]
            )[0]
            if receipt.status == "labelled":
                self._album.relabel([arrival.id], arrival.label)
                self._changed()
        return receipt.as_json()

    def begin(self, arrival: Arrival) -> Future[dict[str, Any]]:
        """Send a photo on its way; what will be known of it.

        Raises
        ------
        BusyError
            If too many wait.
        """
        outcome: Future[dict[str, Any]] = Future()
        problem = self._learner.in_hand.why_set_aside(arrival)
        if problem is not None:
            outcome.set_result(self._refused(arrival, problem))
            return outcome
        assert arrival.source is not None
        sample = Sample(id=arrival.id, source=arrival.source)
        ticket = Ticket(arrival=arrival, outcome=outcome, came=monotonic())
        self.gatherer.submit([sample], [ticket])
        return outcome

    def waited(self, outcome: Future[dict[str, Any]], arrival: Arrival) -> dict[str, Any] | None:
        """What became of a photo, once its thumbnail is there too; None if it takes too long."""
        try:
            found = outcome.result(LONGEST_WAIT)
        except (TooLong, JournalFullError):
            return None
        if found["status"] == "accepted" and isinstance(arrival.source, bytes):
            try:
                self._thumbnails.keep(arrival.id, arrival.source)
                if self._album.get(arrival.id) is None:  # forgotten meanwhile
                    self._thumbnails.forget([arrival.id])
            except (EdgeTransferError, OSError) as error:  # the photo is learned all the same
                logger.warning("%s has no thumbnail: %s", arrival.id[:100], error)
        return found

    def close(self) -> None:
        """Take in what waits, and end."""
        self.gatherer.close()

    def _answer(self, tickets: list[Ticket], found: Mapping[int, Float32Array | str]) -> None:
        with self._lock:
            self._take_in(tickets, found)
        now = monotonic()
        for ticket in tickets:
            self._board.acknowledged(now - ticket.came)

    def _take_in(self, tickets: list[Ticket], found: Mapping[int, Float32Array | str]) -> None:
        offers: list[Offer] = []
        offered: list[tuple[Ticket, Float32Array]] = []
        head = self._head()
        for place, ticket in enumerate(tickets):
            arrival, outcome, row = ticket.arrival, ticket.outcome, found[place]
            if isinstance(row, str):
                outcome.set_result(self._refused(arrival, row))
            elif arrival.learn:
                offers.append(Offer(id=arrival.id, label=arrival.label, rows=row[None]))
                offered.append((ticket, row))
            else:
                outcome.set_result(self._predicted(arrival, head, row))
        try:
            receipts = self._learner.durable.accept(offers)
        except JournalFullError as full:
            self._board.paused = f"the disk of {self._learner.durable.run.path} is full"
            for ticket, _ in offered:
                ticket.outcome.set_exception(full)
            return
        self._board.paused = None
        for (ticket, row), receipt in zip(offered, receipts, strict=True):
            arrival, outcome = ticket.arrival, ticket.outcome
            if receipt.status == "accepted":
                self._album.add(arrival.id, arrival.label, row)
            elif receipt.status == "labelled":
                self._album.relabel([arrival.id], arrival.label)
            elif receipt.status == "rejected":
                self.refused += 1
            outcome.set_result(receipt.as_json())
        if offered:
            self._changed()

    def _predicted(self, arrival: Arrival, head: LinearHead, row: Float32Array) -> dict[str, Any]:
        classes: dict[str, float] = {}
        if head.classes:
            probabilities = head.predict_proba(row[None])[0]
            order = np.argsort(-probabilities, kind="stable")
            classes = {head.classes[i]: float(probabilities[i]) for i in order}
        familiarity = self._familiarity()
        unknown = None if familiarity is None else not bool(familiarity.knows(row[None])[0])
        return {"id": arrival.id, "status": "predicted", "classes": classes, "unknown": unknown}

    def _refused(self, arrival: Arrival, reason: str) -> dict[str, Any]:
        self.refused += 1
        return {"id": arrival.id, "status": "rejected", "reason": reason}


def _fail(tickets: list[Ticket], error: Exception) -> None:
    for ticket in tickets:
        if not ticket.outcome.done():
            ticket.outcome.set_exception(error)
