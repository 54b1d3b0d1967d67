"""What arrives on a stream, and what a source is."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Literal, Protocol

from edgetransfer.data.labels import LONGEST_LABEL, checked_label
from edgetransfer.data.samples import Stored
from edgetransfer.errors import DataError
from edgetransfer.names import is_file_name
from edgetransfer.types import Float32Array

LONGEST_ID = 1000  # characters
LONGEST_PATH = 4096

Correction = Literal["relabel", "forget", "forget class"]

_CORRECTIONS: tuple[Correction, ...] = ("relabel", "forget")  # fields of their names
_OF_SAMPLES = ("path", "base64", "label", "id")

Reply = Callable[[Mapping[str, Any]], None]
"""Told what became of a sample, as JSON values with ``id`` and ``status`` at least."""


def no_reply(_outcome: Mapping[str, Any]) -> None:
    """The `Reply` of a source that needs none."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A sample that has just arrived.

    Parameters
    ----------
    id
        Of the sample: one that was accepted before is not learned again.
    source
        The image file, its bytes, or where they are stored; None for a label that comes later.
    features
        (1, D) float32, in place of the image: it went through the backbone elsewhere.
    label
        A class name; None where it is not known yet.
    problem
        Why it can't be used, if that is clear already.
    learn
        False if it is only to be predicted.
    correction
        What is to be done to an earlier sample of this id, or to all of the class that the id
        names; None if this is a sample itself.
    reply
        Told what became of it once that is on disk; called from another thread.
    """

    id: str
    source: Path | bytes | Stored | None = None
    features: Float32Array | None = field(default=None, repr=False, compare=False)
    label: str | None = None
    problem: str | None = None
    learn: bool = True
    correction: Correction | None = None
    reply: Reply = no_reply

    def read(self) -> bytes:
        """The image file's bytes; an `OSError` if it cannot be read."""
        if isinstance(self.source, Path):
            return self.source.read_bytes()
        if isinstance(self.source, Stored):
            return self.source.read()
        return self.source or b""


class Ledger(Protocol):
    """What a source may ask of the run that it feeds; any thread may ask."""

    def known(self, sample_id: str) -> bool:
        """Whether a sample of this id was accepted."""

    def open_for_label(self, sample_id: str) -> bool:
        """Whether an accepted sample of this id waits for its label."""


class Source(Protocol):
    """Where samples come from."""

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """Yield samples as they arrive, for as long as there are any or until ``stop`` is set.

        A sample that the ledger knows may be left out. Started anew over the same data, a
        source yields what is not known in the same order.
        """


def read_fields(record: Mapping[str, Any], *, files: bool) -> Arrival:
    """A sample from JSON: ``path`` or ``base64``, ``label`` and ``id``, each a string.

    Without ``id`` it is the path, or the sha256 of the bytes. A record with ``id`` and ``label``
    alone gives an earlier sample its label; with ``"relabel": true`` beside them another one than
    it has, and ``id`` with ``"forget": true`` takes it away again; so does ``class`` with all
    samples of a class. A path may hold bytes that are
    not UTF-8, as Python and this program write them: each as a surrogate escape. A label is what
    `checked_label` takes.

    Parameters
    ----------
    files
        Whether ``path`` is allowed.

    Raises
    ------
    DataError
        If it is anything else.
    """
    unknown = sorted(set(record) - {"path", "base64", "label", "id", "class", *_CORRECTIONS})
    if unknown:
        raise DataError(f"unknown field {str(unknown[0])[:50]!r}")
    correction = _correction(record)
    if record.get("class") is not None:
        return _class_forgotten(record, correction)
    label = _text(record, "label", LONGEST_LABEL)
    sample_id = _text(record, "id", LONGEST_ID)
    path = _text(record, "path", LONGEST_PATH)
    if path is not None and not files:
        raise DataError("a path is not allowed here; send the image itself as base64")
    if path is not None and "base64" in record:
        raise DataError("path and base64 exclude each other")
    source: Path | bytes | None = None
    if path is not None:
        if not is_file_name(path):
            raise DataError("the path holds a zero character, or what no file can be called")
        source = Path(path)
        sample_id = path[:LONGEST_ID] if sample_id is None else sample_id
    elif record.get("base64") is not None:
        source = _decoded(record["base64"])
        sample_id = hashlib.sha256(source).hexdigest() if sample_id is None else sample_id
    elif sample_id is None or (label is None and correction != "forget"):
        raise DataError(
            f"needs {'path or ' if files else ''}base64; or id and label of an earlier sample"
        )
    if correction is not None and source is not None:
        raise DataError(f"{correction} is of an earlier sample, by its id: without an image")
    if correction == "forget" and label is not None:
        raise DataError("forget takes a sample away, whatever its label: without a label")
    return Arrival(id=sample_id, source=source, label=label, correction=correction)


def _class_forgotten(record: Mapping[str, Any], correction: Correction | None) -> Arrival:
    if correction != "forget" or any(record.get(n) is not None for n in _OF_SAMPLES):
        raise DataError('a class is only forgotten: {"class": …, "forget": true}, and no more')
    label = _text({"label": record["class"]}, "label", LONGEST_LABEL)
    assert label is not None
    return Arrival(id=label, correction="forget class")


def _correction(record: Mapping[str, Any]) -> Correction | None:
    asked: list[Correction] = []
    for name in _CORRECTIONS:
        if record.get(name, False) not in (True, False, "true", "false"):
            raise DataError(f"{name} is true or false")
        if record.get(name, False) in (True, "true"):
            asked.append(name)
    if len(asked) > 1:
        raise DataError("relabel and forget exclude each other")
    return asked[0] if asked else None


def _text(record: Mapping[str, Any], name: str, longest: int) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        value = str(value)
    if not isinstance(value, str):
        raise DataError(f"{name} is a string")
    if not value.strip() or len(value) > longest:
        raise DataError(f"{name} has 1 to {longest} characters")
    if name == "label":
        return checked_label(value)
    try:
        if name != "path":
            value.encode()
    except UnicodeEncodeError:
        raise DataError(f"{name} is not valid Unicode") from None
    return value


def _decoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise DataError("base64 is a string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise DataError("base64 is not valid base64") from None
