"""A message as a sample: JSON as a line of `JsonLinesSource` has it, or the bytes of a photo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgetransfer.data.labels import checked_label
from edgetransfer.data.streams.arrivals import LONGEST_ID, Arrival, Reply, read_fields
from edgetransfer.errors import DataError
from edgetransfer.untrusted_json import json_object


def arrival_of(
    payload: bytes,
    name: str,
    reply: Reply,
    *,
    longest: int,
    label: str | None = None,
    sample_id: str | None = None,
) -> Arrival:
    """The sample of a message; what is none is refused by the message's name.

    Parameters
    ----------
    payload
        A JSON object (``base64``, ``label``, ``id``), or a photo.
    name
        Of the message: the id of a sample that says none.
    longest
        Bytes at most.
    label, sample_id
        What the message says beside its payload.
    """
    try:
        if len(payload) > longest:
            raise DataError(f"longer than {longest} bytes")
        if payload[:1].isspace() or payload[:1] in (b"{", b"["):
            found = _of_json(payload, {"id": sample_id or name, "label": label})
        else:
            kept = None if label is None else checked_label(label)
            found = Arrival(id=(sample_id or name)[:LONGEST_ID], source=payload, label=kept)
        return replace(found, reply=reply)
    except DataError as error:
        return Arrival(id=name[:LONGEST_ID], problem=str(error), reply=reply)


def text_of(value: bytes | str | None, what: str) -> str | None:
    """A field of a message as text.

    Raises
    ------
    DataError
        If it is not UTF-8.
    """
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DataError(f"{what} is not UTF-8") from None


def _of_json(payload: bytes, beside: Mapping[str, str | None]) -> Arrival:
    try:
        record = json_object(payload)
    except ValueError as error:
        raise DataError(f"neither a photo nor JSON that can be read: {error}") from None
    said = {name: value for name, value in beside.items() if value is not None}
    # Without a photo it is about an earlier sample, which the message's name is not.
    if "base64" not in record:
        said.pop("id", None)
    return read_fields({**said, **record}, files=False)
