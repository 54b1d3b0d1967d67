"""Photos in requests, in the three forms that they may have."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from edgetransfer.names import readable
from edgetransfer.reprs import short_repr
from edgetransfer.untrusted_json import json_object
from edgetransfer.web.messages import JSON, Refusal, Request
from edgetransfer.web.multipart import MultipartError, parts_of

LONGEST_NAME = 255


@dataclass(frozen=True, kw_only=True)
class SentPhoto:
    """A photo that a client sent.

    Parameters
    ----------
    name
        That the client gives it: text to be shown, never a path.
    data
        The file's bytes, not looked at yet.
    """

    name: str
    data: bytes

    __repr__ = short_repr


def photos_in(request: Request) -> list[SentPhoto]:
    """The photos of a request: a multipart form's files, a whole body, or base64 in JSON.

    Raises
    ------
    Refusal
        If it holds none.
    """
    body, kind = request.body(), request.kind
    if kind == "multipart/form-data":
        try:
            parts = parts_of(request.headers, body)
        except MultipartError as error:
            raise Refusal(400, str(error)) from None
        photos = [
            SentPhoto(name=_shown(part.file_name or part.name), data=part.data) for part in parts
        ]
    elif kind == JSON:
        photos = [_in_json(body)]
    elif kind.startswith("image/") or kind == "application/octet-stream":
        photos = [SentPhoto(name="", data=body)]
    else:
        raise Refusal(415, f"send image/*, multipart/form-data or {JSON}, not {kind[:100]}")
    if not photos:
        raise Refusal(400, "the form has no photo")
    if not all(photo.data for photo in photos):
        raise Refusal(400, "a photo is empty")
    return photos


def _in_json(body: bytes) -> SentPhoto:
    try:
        record = json_object(body)
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    if set(record) - {"base64", "name"}:
        raise Refusal(400, "the JSON object has base64, and name if you like, nothing else")
    text, name = record.get("base64"), record.get("name", "")
    if not isinstance(text, str) or not isinstance(name, str):
        raise Refusal(400, "base64 and name are strings")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "base64 is not valid base64") from None
    return SentPhoto(name=_shown(name), data=data)


def _shown(name: str) -> str:
    """A client's name for a file: its last part, as text that can be shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return readable(last)[:LONGEST_NAME]
