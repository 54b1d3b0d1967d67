"""The photos of a run by their ids, as its journal has them: label and features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetransfer.reprs import short_repr
from edgetransfer.stream.keeping.journal import segments, whole_records
from edgetransfer.types import Float32Array


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo that was taken in.

    Parameters
    ----------
    label
        A class name; None where it has none yet.
    features
        (D,) float16.
    """

    id: str
    label: str | None
    features: NDArray[np.float16]

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Some photos at one moment.

    Parameters
    ----------
    ids
        N of them.
    labels
        N class names; None where there is none.
    features
        (N, D) float32.
    """

    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    features: Float32Array

    __repr__ = short_repr


class Album:
    """All photos, in the order in which they came; for one thread at a time.

    Attributes
    ----------
    version
        Grows with every change.
    """

    def __init__(self) -> None:
        self.version = 0
        self._photos: dict[str, Photo] = {}

    @classmethod
    def of_journal(cls, folder: Path) -> Album:
        """What the journal of an opened run holds: it was mended, so that all of it counts."""
        album = cls()
        for segment in segments(folder):
            for record, _ in whole_records(segment.read_bytes()):
                if record.kind == "sample" and record.rows is not None:
                    album.add(record.id, record.label, record.rows[0])
                elif record.kind in ("label", "relabel") and record.id in album._photos:
                    album.relabel([record.id], record.label)
        return album

    def __len__(self) -> int:
        return len(self._photos)

    def get(self, photo_id: str) -> Photo | None:
        """The photo of an id; None if there is none."""
        return self._photos.get(photo_id)

    @property
    def photos(self) -> list[Photo]:
        """All of them, in the order in which they came."""
        return list(self._photos.values())

    @property
    def counts(self) -> dict[str, int]:
        """Photos by class, in the order in which the classes came."""
        counts: dict[str, int] = {}
        for photo in self._photos.values():
            if photo.label is not None:
                counts[photo.label] = counts.get(photo.label, 0) + 1
        return counts

    def of_class(self, label: str | None) -> list[str]:
        """Ids of the photos of one class; of those without one if None."""
        return [photo.id for photo in self._photos.values() if photo.label == label]

    def add(self, photo_id: str, label: str | None, features: Float32Array) -> None:
        """Take in a photo's (D,) features."""
        kept = np.clip(features, -65504, 65504).astype(np.float16)
        self._photos[photo_id] = Photo(id=photo_id, label=label, features=kept)
        self.version += 1

    def relabel(self, ids: Iterable[str], label: str | None) -> None:
        """Give photos a label, their first or another."""
        for photo_id in ids:
            self._photos[photo_id] = replace(self._photos[photo_id], label=label)
        self.version += 1

    def forget(self, ids: Iterable[str]) -> None:
        """Let go of photos."""
        for photo_id in ids:
            self._photos.pop(photo_id, None)
        self.version += 1

    def sheet(self, photos: Sequence[Photo]) -> Sheet:
        """Some of the photos, with their features in one array."""
        return Sheet(
            ids=tuple(photo.id for photo in photos),
            labels=tuple(photo.label for photo in photos),
            features=(
                np.stack([photo.features for photo in photos]).astype(np.float32)
                if photos
                else np.empty((0, 0), np.float32)
            ),
        )
