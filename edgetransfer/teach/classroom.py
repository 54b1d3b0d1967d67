"""A run that is being taught: everything opened, and how it stands."""

from __future__ import annotations

import logging
from threading import Event, RLock, Thread
from time import sleep
from typing import Any

from edgetransfer.heads import LinearHead
from edgetransfer.stream import OnlineLearner
from edgetransfer.stream.keeping.corrections import Corrections
from edgetransfer.stream.keeping.journal import JournalFullError
from edgetransfer.stream.keeping.recovery import JOURNAL
from edgetransfer.stream.snapshot import Throughput
from edgetransfer.teach.album import Album
from edgetransfer.teach.confirmed import Confirmed
from edgetransfer.teach.desk import Desk
from edgetransfer.teach.intake import Intake
from edgetransfer.teach.lesson import Lesson
from edgetransfer.teach.review import MOST, Honest, Review, newest, review
from edgetransfer.teach.reviewer import Reviewer
from edgetransfer.teach.speed import Speed
from edgetransfer.teach.thumbnails import Thumbnails

logger = logging.getLogger(__name__)

TICK = 0.5  # seconds between looks
TRIES, APART = 20, 0.1  # a photo is known a moment before its thumbnail is there


class Classroom:
    """One run, its photos, and what is known of them.

    Parameters
    ----------
    learner
        Of the run; not closed in the end.

    Raises
    ------
    UsageError
        If it learns by steps, so that no photo could be corrected.
    """

    def __init__(self, learner: OnlineLearner) -> None:
        Corrections(learner.durable)
        self.learner = learner
        run = learner.durable.run.path
        self.lock = RLock()
        self.album = Album.of_journal(run / JOURNAL)
        self.thumbnails = Thumbnails(run)
        self.thumbnails.keep_only(photo.id for photo in self.album.photos)
        self.confirmed = Confirmed(run)
        self.board = Throughput(learner)
        self.board.look(queued=0, refused=0)
        self.reviewer = Reviewer(self._review)
        self.intake = Intake(
            learner,
            self.album,
            self.thumbnails,
            self.board,
            lock=self.lock,
            head=self._head,
            familiarity=lambda: self.reviewer.newest.familiarity,
            changed=self.reviewer.changed,
        )
        self.speed = Speed(learner.settings, learner.engine.name)
        self.lesson = Lesson(learner, self.album, self.thumbnails, self.intake, self.lock)
        self.desk = Desk(learner, self.lesson, self.intake)
        self._stop = Event()
        self._ticks = Thread(target=self._tick, name="edgetransfer-teach", daemon=True)
        self._ticks.start()

    def close(self) -> None:
        """Take in what waits, and end all threads."""
        self.intake.close()
        self._stop.set()
        self._ticks.join()
        self.reviewer.close()

    def confirm(self, ids: list[str]) -> int:
        """Remember that the labels of photos are right; returns how many have one to confirm."""
        with self.lock:
            photos = [photo for i in ids if (photo := self.album.get(i)) is not None]
            labels = {p.id: p.label for p in photos if p.label is not None}
            self.confirmed.confirm(labels)
        self.reviewer.changed()
        return len(labels)

    def thumbnail(self, photo_id: str) -> bytes | None:
        """The JPEG of a photo, once it is made; None if it has none."""
        for _ in range(TRIES):
            picture = self.thumbnails.get(photo_id)
            if picture is not None or self.album.get(photo_id) is None:
                return picture
            sleep(APART)
        return None

    def standing(self) -> dict[str, Any]:
        """How everything stands, as JSON values."""
        found = self.reviewer.newest
        with self.lock:
            counts, photos, version = self.album.counts, len(self.album), self.album.version
            undoable = self.lesson.undoable
            # A review is a moment old: what was acted on since is not asked again.
            following = [g for g in found.following if self._has(g.id, None)]
            doubts = [d for d in found.doubts if self._has(d.id, d.label)]
        snapshot = self.board.snapshot
        shares = {} if found.honest is None else found.honest.per_class
        return {
            "run": self.learner.durable.run.path.resolve().name,
            "version": version,
            "reviewed": found.version,
            "photos": photos,
            "unlabelled": photos - sum(counts.values()),
            "classes": [
                {"name": name, "photos": count, "recognised": shares.get(name)}
                for name, count in counts.items()
            ],
            "honest": None if found.honest is None else _honest(found.honest),
            "prequential": snapshot.report.get("prequential"),
            "next": [vars(guess) for guess in following],
            "doubtful": [vars(doubt) for doubt in doubts],
            "undo": undoable,
            "waiting": self.intake.gatherer.waiting,
            "per_second": snapshot.per_second,
            "paused": snapshot.paused,
            "engine": self.learner.engine.choice.name,
            "speed": self.speed.newest,
        }

    def _head(self) -> LinearHead:
        """The one of all photos where a review has it by now, else the newest there is."""
        found = self.reviewer.newest
        if found.head is not None and found.version == self.album.version:
            return found.head
        return self.learner.durable.learner.newest

    def _has(self, photo_id: str, label: str | None) -> bool:
        photo = self.album.get(photo_id)
        return photo is not None and photo.label == label

    def _review(self) -> Review:
        with self.lock:
            photos, version = self.album.photos, self.album.version
            confirmed = self.confirmed.of({photo.id: photo.label for photo in photos})
        labelled = [photo for photo in photos if photo.label is not None]
        labelled = [labelled[i] for i in newest([photo.label for photo in labelled])]
        return review(
            version,
            self.album.sheet(labelled),
            self.album.sheet([photo for photo in photos if photo.label is None][-MOST:]),
            self.learner.durable.learner.head,
            confirmed,
        )

    def _tick(self) -> None:
        """Learn what waits, and look, a few times a second."""
        durable = self.learner.durable
        flush = self.learner.settings.keeping.flush_seconds
        while not self._stop.wait(TICK):
            try:
                if self.desk.answer_letters():
                    self.reviewer.changed()
                with self.lock:
                    if durable.waited > flush:
                        durable.flush()
                    self.board.look(
                        queued=self.intake.gatherer.waiting, refused=self.intake.refused
                    )
            except JournalFullError:
                self.board.paused = f"the disk of {durable.run.path} is full"


def _honest(honest: Honest) -> dict[str, Any]:
    low, high = honest.interval
    return {
        "right": honest.right,
        "tested": honest.tested,
        "share": honest.right / honest.tested if honest.tested else None,
        "low": low,
        "high": high,
        "classes": list(honest.classes),
        "confusion": honest.confusion.tolist(),
    }
