"""One record of the journal, as bytes.

    magic       4 bytes   ``ETR1``
    length      uint32    of the payload
    checksum    uint32    CRC-32 of the payload
    payload     uint32 length of the JSON, the JSON (UTF-8), then the feature rows, float32

All numbers are little-endian. The JSON holds ``n`` (position of the record in the run), ``g``
(the group that it was written and synced with), ``left`` (how many records of its group follow),
``kind``, ``id``, ``label``, ``time`` and ``shape`` of the rows; a learner on statistics adds
``predicted`` and ``was``.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from edgetransfer.stream.learning.ids import ID_BYTES, id_key
from edgetransfer.types import Float32Array
from edgetransfer.untrusted_json import json_value

MAGIC = b"ETR1"
_FRAME = struct.Struct("<4sII")
_JSON_LENGTH = struct.Struct("<I")
_quoted = json.encoder.encode_basestring_ascii
LARGEST = 256 * 2**20  # a length beyond this is no length

Kind = Literal["sample", "label", "flush", "relabel", "gone"]
_TYPES: dict[str, tuple[type, ...]] = {
    "n": (int,),
    "g": (int,),
    "left": (int,),
    "kind": (str,),
    "id": (str,),
    "label": (str, type(None)),
    "time": (float, int),
}
_ADDED = ("predicted", "was")  # strings, or not there


@dataclass(frozen=True, kw_only=True)
class Record:
    """Something that happened to the learner.

    Parameters
    ----------
    n
        Its position: how many records the run had before it.
    group, left
        Records of one group were synced together, after all of the groups before; ``left`` of
        them follow this one.
    kind
        ``sample``: an image came. ``label``: the label of an earlier image came. ``flush``: the
        source ended, and what waited for a full batch was learned. ``relabel``: an earlier
        sample has another label now. ``gone``: whatever it was, its sample was forgotten; the
        id is the key of one that was a ``sample``, in hexadecimal digits, else empty.
    id, label
        Of the sample; the label is a class name, None where it is not known.
    time
        When it was accepted, in seconds since 1970.
    rows
        (views, D) float32 of a sample; None where they are not needed.
    predicted
        The class that the sample was taken for before its label was learned, by whichever head
        was the newest; None if there was none, or the learner finds it anew.
    was
        The label that a ``relabel`` takes from the sample.
    """

    n: int
    group: int
    kind: Kind
    id: str = ""
    label: str | None = None
    time: float = 0.0
    rows: Float32Array | None = None
    left: int = 0
    predicted: str | None = None
    was: str | None = None

    @property
    def key(self) -> bytes | None:
        """That of the sample which it brought, forgotten or not; None if it brought none."""
        if self.kind == "gone":
            return bytes.fromhex(self.id) or None
        return id_key(self.id) if self.kind == "sample" else None

    def forgotten(self) -> Record:
        """What stays of it when its sample is forgotten: its place."""
        key = self.key
        return replace(
            self,
            kind="gone",
            id="" if key is None else key.hex(),
            label=None,
            rows=None,
            predicted=None,
            was=None,
        )

    def encoded(self) -> bytes:
        """The record as bytes."""
        label = "null" if self.label is None else _quoted(self.label)
        shape = "null" if self.rows is None else f"[{len(self.rows)},{self.rows.shape[1]}]"
        added = "".join(
            f',"{name}":{_quoted(value)}'
            for name in _ADDED
            if (value := getattr(self, name)) is not None
        )
        text = (
            f'{{"n":{self.n},"g":{self.group},"left":{self.left},"kind":"{self.kind}",'
            f'"id":{_quoted(self.id)},"label":{label},"time":{self.time!r},"shape":{shape}{added}}}'
        ).encode()
        rows = b"" if self.rows is None else np.ascontiguousarray(self.rows, "<f4").tobytes()
        payload = _JSON_LENGTH.pack(len(text)) + text + rows
        return _FRAME.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A sample as it was learned.

    Parameters
    ----------
    label
        A class name.
    rows
        (views, D) float32.
    """

    label: str
    rows: Float32Array


def decode(data: bytes | memoryview, offset: int) -> tuple[Record, int] | None:
    """The record at an offset and the offset after it; None if there is no whole one."""
    start = offset + _FRAME.size
    if start > len(data):
        return None
    magic, length, checksum = _FRAME.unpack_from(data, offset)
    payload = bytes(data[start : start + length]) if length <= LARGEST else b""
    if magic != MAGIC or len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    try:
        return _parsed(payload), start + length
    except (KeyError, ValueError, TypeError, RecursionError, struct.error):
        return None  # its checksum fits, but no edgetransfer wrote it


def _parsed(payload: bytes) -> Record:
    (text_length,) = _JSON_LENGTH.unpack_from(payload)
    rows_at = _JSON_LENGTH.size + text_length
    head = json_value(payload[_JSON_LENGTH.size : rows_at])
    rows = None
    if head["shape"] is not None:
        views, dimension = head["shape"]
        rows = np.frombuffer(payload, "<f4", offset=rows_at).reshape(views, dimension).copy()
    for name, kinds in _TYPES.items():
        if type(head[name]) not in kinds:
            raise TypeError(name)
    if any(type(head.get(name)) not in (str, type(None)) for name in _ADDED):
        raise TypeError("predicted or was")
    if head["kind"] not in get_args(Kind) or min(head["n"], head["g"]) < 0:
        raise ValueError("no record")
    if (rows is None or not len(rows)) and head["kind"] in ("sample", "relabel"):
        raise ValueError("a sample without rows")
    if head["kind"] == "relabel" and None in (head["label"], head.get("was")):
        raise ValueError("a change from no label, or to none")
    if head["kind"] == "gone" and len(bytes.fromhex(head["id"])) not in (0, ID_BYTES):
        raise ValueError("no key of a sample")
    return Record(
        n=head["n"],
        group=head["g"],
        left=head["left"],
        kind=head["kind"],
        id=head["id"],
        label=head["label"],
        time=head["time"],
        rows=rows,
        predicted=head.get("predicted"),
        was=head.get("was"),
    )
