"""Samples, data sets and their splits."""

from __future__ import annotations

import errno
import hashlib
import stat
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetransfer.errors import DataError
from edgetransfer.reports.train import SplitRecord
from edgetransfer.reprs import short_repr
from edgetransfer.sampling import stratified_holdout
from edgetransfer.types import IntArray


class Stored(ABC):
    """A photo that is no file: in an archive, a table or a database, or at an address.

    It can be pickled, and is read where it is used; each is a frozen dataclass, so that equal ones
    are equal.
    """

    @abstractmethod
    def read(self) -> bytes:
        """Its bytes; an `OSError` if they cannot be had."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many bytes; an `OSError` if that cannot be told."""

    @property
    @abstractmethod
    def stamp(self) -> str:
        """A text that changes with the content; an `OSError` if there is none."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image that can be read any number of times.

    Parameters
    ----------
    id
        A name that stays the same from run to run: its path below the data folder.
    source
        The file, its bytes, or where they are stored.
    label
        Index into the class names; -1 where it is not known.
    """

    id: str
    source: Path | bytes | Stored
    label: int = -1

    __repr__ = short_repr

    def read(self) -> bytes:
        """The file's bytes; an `OSError` if it cannot be read, or is no file but a pipe or so."""
        if isinstance(self.source, bytes):
            return self.source
        if isinstance(self.source, Stored):
            return self.source.read()
        kind = self.source.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # it might never end
            raise OSError(errno.EINVAL, "not a file", str(self.source))
        return self.source.read_bytes()

    @property
    def content(self) -> Path | bytes:
        """What a decoder takes: the file, or the bytes; an `OSError` if these cannot be had."""
        return self.source.read() if isinstance(self.source, Stored) else self.source


@dataclass(frozen=True, kw_only=True)
class DataSplits:
    """A data set, split.

    Parameters
    ----------
    classes
        Class names, sorted; labels are indices into them.
    train, val, test
        The samples of each part; ``val`` and ``test`` may be empty.
    ignored
        How many files were passed over because of their ending, by ending.
    left_out
        How many files and folders were passed over for other reasons, by reason.
    learned_too
        By split, the ids of photos that are copies of training photos.
    """

    classes: tuple[str, ...]
    train: tuple[Sample, ...]
    val: tuple[Sample, ...] = ()
    test: tuple[Sample, ...] = ()
    ignored: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()
    learned_too: tuple[tuple[str, tuple[str, ...]], ...] = ()

    __repr__ = short_repr

    @property
    def sizes(self) -> dict[str, SplitRecord]:
        """How many photos and classes each split has."""
        parts = (("train", self.train), ("val", self.val), ("test", self.test))
        return {
            name: {"photos": len(part), "classes": len({sample.label for sample in part})}
            for name, part in parts
        }

    @property
    def fingerprint(self) -> str:
        """A hash of classes, ids and labels; equal data sets have equal fingerprints."""
        digest = hashlib.sha256("\0".join(self.classes).encode(errors="surrogatepass"))
        for part in (self.train, self.val, self.test):
            digest.update(b"\1")
            for sample in part:
                digest.update(f"{sample.id}\0{sample.label}\0".encode(errors="surrogatepass"))
        return digest.hexdigest()[:16]


def labels_of(samples: Sequence[Sample]) -> IntArray:
    """The labels of samples, (N,) int64."""
    return np.fromiter((s.label for s in samples), np.int64, len(samples))


def check_classes(where: str, classes: Sequence[str], train: Sequence[Sample]) -> None:
    """Refuse a data set that nothing can be learned from.

    Raises
    ------
    DataError
        If there are fewer than two classes, or a class has no training image.
    """
    if not train:
        raise DataError(
            f"{where}: no training images found; expected one folder a class (if these photos are "
            "all of one class, give the folder above)"
        )
    if len(classes) < 2:
        raise DataError(
            f"{where}: only one class ({classes[0]!r}); a classifier needs at least two"
        )
    counts = Counter(s.label for s in train)
    empty = [name for i, name in enumerate(classes) if not counts[i]]
    if empty:
        raise DataError(
            f"{where}: class {empty[0]!r} has no training images"
            + (f" (nor have {len(empty) - 1} others)" if len(empty) > 1 else "")
            + "; add images or remove the class"
        )


def split_off(
    samples: Sequence[Sample],
    fraction: float,
    seed: int,
    copies: Sequence[Sequence[int]] = (),
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Split samples in two, class by class: the rest, and about ``fraction`` held out.

    Each class keeps at least one sample in the rest, and gives at least one if it has two that
    differ; ``copies`` are those that don't, see `stratified_holdout`. The order within each part
    is that of the input.
    """
    held = stratified_holdout(labels_of(samples), fraction, seed, copies)
    rest = tuple(s for s, h in zip(samples, held, strict=True) if not h)
    return rest, tuple(s for s, h in zip(samples, held, strict=True) if h)
