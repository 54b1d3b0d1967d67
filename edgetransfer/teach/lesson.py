"""What a person does to the photos of a run: take in, label, forget, rename, and undo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from threading import RLock
from typing import Any

from edgetransfer.data import checked_label
from edgetransfer.data.streams import Arrival
from edgetransfer.errors import DataError
from edgetransfer.stream import OnlineLearner
from edgetransfer.stream.learning.offers import Offer
from edgetransfer.teach.album import Album, Photo
from edgetransfer.teach.intake import Intake
from edgetransfer.teach.steps import Step, Steps
from edgetransfer.teach.thumbnails import Thumbnails


class NotHereError(DataError):
    """A photo or class that a step is to change is not there."""


class Lesson:
    """The photos of one run, in a person's hands.

    All that changes them goes through the learner's journal first, so that a kill at any moment
    leaves the run as it was before or after a step.

    Parameters
    ----------
    lock
        Held while learner and album change.
    """

    def __init__(
        self,
        learner: OnlineLearner,
        album: Album,
        thumbnails: Thumbnails,
        intake: Intake,
        lock: RLock,
    ) -> None:
        self._durable = learner.durable
        self._album = album
        self._thumbnails = thumbnails
        self._intake = intake
        self._lock = lock
        self._now: dict[str, str] = {}  # the id of a photo that was taken in anew
        self._steps = Steps(learner.durable.run.path, album, self._current)

    @property
    def undoable(self) -> str | None:
        """What `undo` would undo; None if there is nothing."""
        with self._lock:
            step = self._steps.last()
        return None if step is None else step.text

    def take_in(self, photos: Sequence[bytes], label: str | None) -> list[dict[str, Any]] | None:
        """Take in photos, each with the label if one is given; what became of each.

        A photo that is here already gets the label. None if it takes too long: they may be sent
        again.

        Raises
        ------
        DataError
            If no class can be called so.
        BusyError
            If too many wait.
        """
        label = None if label is None else checked_label(label)
        begun = []
        for data in photos:
            arrival = Arrival(id=self._id_of(data), source=data, label=label)
            begun.append((arrival, self._intake.begin(arrival)))
        outcomes, added, labelled, here = [], [], [], []
        for arrival, coming in begun:
            outcome = self._intake.waited(coming, arrival)
            if outcome is None:
                return None
            if outcome["status"] == "accepted":
                added.append(arrival.id)
            elif outcome["status"] == "labelled":
                labelled.append(arrival.id)
            elif outcome["status"] == "duplicate":
                here.append(arrival.id)
            outcomes.append(outcome)
        with self._lock:
            before: dict[str, str | None] = dict.fromkeys(labelled)
            if label is not None:
                others = self._labels([i for i in here if self._label_of(i) != label])
                self._give(list(others), label)
                before |= others
            if added or before:
                text = f"took in {_count(len(added) + len(before))}"
                step = Step(text=_as(text, label), given=label, added=tuple(added), labels=before)
                self._steps.add(step)
        return outcomes

    def label(self, ids: Sequence[str], label: str) -> int:
        """Give photos a label, their first or another; returns how many got it.

        Raises
        ------
        DataError
            If no class can be called so, or there is no such photo.
        """
        label = checked_label(label)
        with self._lock:
            before = self._labels(self._known(ids))
            before = {i: old for i, old in before.items() if old != label}
            self._give(list(before), label)
            text = _as(f"labelled {_count(len(before))}", label)
            self._steps.add(Step(text=text, given=label, labels=before))
            return len(before)

    def unlabel(self, ids: Sequence[str]) -> int:
        """Take photos' labels away; they wait for another one. Returns how many had one.

        Raises
        ------
        DataError
            If there is no such photo.
        """
        with self._lock:
            before = self._labels(self._known(ids))
            before = {i: old for i, old in before.items() if old is not None}
            self._unlabel(list(before))
            text = f"took the label of {_count(len(before))} away"
            self._steps.add(Step(text=text, labels=before))
            return len(before)

    def forget(self, ids: Sequence[str]) -> int:
        """Remove photos, as if they had never been here; returns how many.

        Raises
        ------
        DataError
            If there is no such photo.
        """
        with self._lock:
            photos = [photo for i in self._known(ids) if (photo := self._album.get(i))]
            kept = tuple((photo, self._thumbnails.get(photo.id)) for photo in photos)
            gone = [photo.id for photo in photos]
            self._steps.save(without=frozenset(gone))
            self._forget(gone)
            self._steps.add(Step(text=f"forgot {_count(len(photos))}", forgotten=kept))
            return len(photos)

    def rename(self, old: str, new: str) -> int:
        """Give a class another name, or join it to the one that has it; returns its photos.

        Raises
        ------
        DataError
            If no class can be called so, or there is no such class.
        """
        new = checked_label(new)
        with self._lock:
            ids = self._of_class(old)
            before = self._labels(ids) if new != old else {}
            self._give(list(before), new)
            self._steps.add(Step(text=f"renamed {old} to {new}", given=new, labels=before))
            return len(before)

    def forget_for_good(self, ids: Iterable[str], classes: Iterable[str]) -> int:
        """Remove photos and whole classes, with no way back; returns how many.

        What is not here, or not any more, is none of them.
        """
        with self._lock:
            named = [self._current(i) for i in ids]
            for label in classes:
                named += self._album.of_class(label)
            gone = [i for i in dict.fromkeys(named) if self._album.get(i) is not None]
            if gone:
                self._steps.save(without=frozenset(gone))
                self._forget(gone)
            return len(gone)

    def relabel(self, ids: Iterable[str], label: str) -> tuple[int, int, list[str]]:
        """Give photos another label: how many have another one now, had it, and are not here.

        Raises
        ------
        DataError
            If no class can be called so.
        """
        with self._lock:
            named = list(dict.fromkeys(ids))
            here = [i for i in named if self._album.get(self._current(i)) is not None]
            changed = self.label(here, label) if here else 0
            return changed, len(here) - changed, [i for i in named if i not in here]

    def forget_class(self, label: str) -> int:
        """Remove a class with all its photos; errors as of `forget`."""
        return self.forget(self._of_class(label))

    def undo(self) -> str | None:
        """Undo the last step; what it was, or None if there is nothing to be undone."""
        with self._lock:
            step = self._steps.last()
            if step is None:
                return None
            by_label: dict[str | None, list[str]] = {}
            for photo_id, label in step.labels.items():
                if (here := self._steps.held(step, photo_id)) is not None:
                    by_label.setdefault(label, []).append(here)
            added = [here for i in step.added if (here := self._steps.held(step, i)) is not None]
            for label, ids in by_label.items():
                if label is None:
                    self._unlabel(ids)
                else:
                    self._give(ids, label)
            for photo, picture in step.forgotten:
                self._anew(photo, photo.label, picture)
            if added:
                self._steps.save(without=frozenset(added))
                self._forget(added)
            self._steps.drop_last()
            return step.text

    # What the steps are made of

    def _id_of(self, data: bytes) -> str:
        """The checksum of a photo; with a number behind it where that was forgotten before."""
        return self._free(hashlib.sha256(data).hexdigest())

    def _free(self, photo_id: str) -> str:
        base, number = photo_id.partition("~")[0], 1
        given = self._current(photo_id)
        while self._album.get(given) is None and self._durable.known(given):
            number += 1
            given = f"{base}~{number}"
        return given

    def _current(self, photo_id: str) -> str:
        while photo_id in self._now:
            photo_id = self._now[photo_id]
        return photo_id

    def _known(self, ids: Sequence[str]) -> list[str]:
        current = [self._current(i) for i in dict.fromkeys(ids)]
        for photo_id in current:
            if self._album.get(photo_id) is None:
                raise NotHereError(f"there is no photo {photo_id[:100]!r} here")
        return current

    def _of_class(self, label: str) -> list[str]:
        ids = self._album.of_class(label)
        if not ids:
            raise NotHereError(f"there is no class {label[:100]!r} here")
        return ids

    def _label_of(self, photo_id: str) -> str | None:
        photo = self._album.get(photo_id)
        return None if photo is None else photo.label

    def _labels(self, ids: Sequence[str]) -> dict[str, str | None]:
        return {photo_id: self._label_of(photo_id) for photo_id in ids}

    def _give(self, ids: Sequence[str], label: str) -> None:
        if not ids:
            return
        given = []
        for receipt in self._durable.relabel(ids, label):
            photo = self._album.get(receipt.id)
            assert photo is not None
            if receipt.status in ("relabelled", "labelled", "duplicate"):
                given.append(receipt.id)
            elif receipt.status == "rejected" and self._durable.why_no_class(label):
                raise DataError(str(receipt.reason))
            else:  # the learner has let go of its features; the album has not
                self._replace(photo, label)
        self._album.relabel(given, label)
        self._durable.drop_empty_classes()

    def _unlabel(self, ids: Sequence[str]) -> None:
        for photo_id in ids:
            photo = self._album.get(photo_id)
            assert photo is not None
            self._replace(photo, None)

    def _replace(self, photo: Photo, label: str | None) -> None:
        """The same photo under another id: it comes before the old one goes, so none is lost."""
        self._anew(photo, label, self._thumbnails.get(photo.id))
        self._forget([photo.id])

    def _anew(self, photo: Photo, label: str | None, picture: bytes | None) -> None:
        base, number = photo.id.partition("~")[0], 2
        while self._durable.known(new := f"{base}~{number}"):
            number += 1
        if picture is not None:
            self._thumbnails.put(new, picture)
        features = photo.features.astype("float32")
        self._durable.accept([Offer(id=new, label=label, rows=features[None])])
        self._album.add(new, label, features)
        self._now[photo.id] = new

    def _forget(self, ids: Sequence[str]) -> None:
        self._durable.forget(ids)
        self._album.forget(ids)
        self._thumbnails.forget(ids)
        self._durable.drop_empty_classes()


def _count(n: int) -> str:
    return f"{n} photo" if n == 1 else f"{n} photos"


def _as(text: str, label: str | None) -> str:
    return text if label is None else f"{text} as {label}"
