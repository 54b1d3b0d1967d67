"""What may be undone, the newest last, in a file of the run folder: a restart knows it too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.reprs import short_repr
from edgetransfer.stream.keeping.thumbnails import STEPS
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.teach.album import Album, Photo
from edgetransfer.untrusted_json import json_value

UNDOABLE = 100  # steps
VERSION = 1
LARGEST = 2**26  # bytes of the file


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that was done, and how it was before.

    Parameters
    ----------
    text
        What was done.
    given
        The label that all its photos have since; None if they have none.
    added
        Ids of photos that were not here before.
    labels
        Earlier labels by id.
    forgotten
        Photos that are here no more, each with its thumbnail.
    """

    text: str
    given: str | None = None
    added: tuple[str, ...] = ()
    labels: dict[str, str | None] = field(default_factory=dict)
    forgotten: tuple[tuple[Photo, bytes | None], ...] = ()

    __repr__ = short_repr


class Steps:
    """The steps of one run that may be undone.

    A photo that is forgotten must leave nothing behind, so that the file has neither the step that
    forgot it nor the photo in the steps before: after a restart it is gone for good. Ids are there
    as the checksums that the run keeps of every id anyway.

    Parameters
    ----------
    current
        By which id a photo goes now that had another one when a step was done.
    """

    def __init__(self, run: Path, album: Album, current: Callable[[str], str]) -> None:
        self._path = run / STEPS
        self._album = album
        self._current = current
        self._steps = self._read()

    def add(self, step: Step) -> None:
        """Remember what was done; nothing if it changed nothing."""
        if step.added or step.labels or step.forgotten:
            self._steps = [*self._steps[1 - UNDOABLE :], step]
            self.save()

    def last(self) -> Step | None:
        """The newest of which something is left to be undone; None if there is none.

        Of a photo that has another label since, which no step gave it (other programs correct
        photos too, and a stream goes back), the step has lost hold.
        """
        while self._steps and not self._holds(self._steps[-1]):
            self._steps.pop()
        return self._steps[-1] if self._steps else None

    def drop_last(self) -> None:
        """The newest one is undone."""
        self._steps.pop()
        self.save()

    def held(self, step: Step, photo_id: str) -> str | None:
        """The id of a step's photo, if it is as the step left it."""
        photo = self._album.get(self._current(photo_id))
        return photo.id if photo is not None and photo.label == step.given else None

    def save(self, without: frozenset[str] = frozenset()) -> None:
        """Write all but what speaks of photos that are not here, or are about to be forgotten."""
        kept = [record for step in self._steps if (record := self._record(step, without))]
        content = json.dumps({"version": VERSION, "steps": kept}, ensure_ascii=True)
        write_atomically(self._path, content.encode())

    def _holds(self, step: Step) -> bool:
        if step.forgotten:
            return True
        return any(self.held(step, i) is not None for i in (*step.labels, *step.added))

    def _record(self, step: Step, without: frozenset[str]) -> dict[str, Any] | None:
        def key(photo_id: str) -> str | None:
            current = self._current(photo_id)
            here = self._album.get(current) is not None and current not in without
            return id_key(current).hex() if here else None

        added = [found for photo_id in step.added if (found := key(photo_id))]
        labels: dict[str | None, list[str]] = {}
        for photo_id, label in step.labels.items():
            if found := key(photo_id):
                labels.setdefault(label, []).append(found)
        if not added and not labels:
            return None
        groups = list(labels.items())
        return {"text": step.text, "given": step.given, "added": added, "labels": groups}

    def _read(self) -> list[Step]:
        """What is damaged is begun anew: nothing can be undone, and nothing else is lost."""
        try:
            if self._path.stat().st_size > LARGEST:
                return []
            found = json_value(self._path.read_text(encoding="utf-8"))
            if found["version"] != VERSION:
                return []
            ids = {id_key(photo.id).hex(): photo.id for photo in self._album.photos}
            return [_step(record, ids) for record in found["steps"]][-UNDOABLE:]
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return []


def _step(record: dict[str, Any], ids: dict[str, str]) -> Step:
    labels = {
        ids[key]: None if label is None else str(label)
        for label, keys in record["labels"]
        for key in keys
        if key in ids
    }
    given = record["given"]
    return Step(
        text=str(record["text"]),
        given=None if given is None else str(given),
        added=tuple(ids[key] for key in record["added"] if key in ids),
        labels=labels,
    )
