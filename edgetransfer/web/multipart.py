"""``multipart/form-data``, as forms and ``curl -F`` send it (RFC 7578)."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

from edgetransfer.reprs import short_repr

MOST_PARTS = 256
LONGEST_HEAD = 4096  # bytes of a part's own headers


class MultipartError(ValueError):
    """What is wrong with a body."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One field of a form.

    Parameters
    ----------
    name
        Of the field.
    file_name
        That the client gives: text to show, never a path.
    data
        Its bytes.
    """

    name: str
    file_name: str | None
    data: bytes

    __repr__ = short_repr


def parts_of(headers: Message, body: bytes) -> list[Part]:
    """Take a body apart.

    Raises
    ------
    MultipartError
        If it is no whole form, or has more than `MOST_PARTS` parts.
    """
    boundary = headers.get_boundary()
    if not boundary or len(boundary) > 70:
        raise MultipartError("multipart/form-data needs its boundary")
    try:
        mark = b"\r\n--" + boundary.encode("ascii")
    except UnicodeEncodeError:
        raise MultipartError("the boundary is not ASCII") from None
    pieces = (b"\r\n" + body).split(mark, MOST_PARTS + 1)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        if len(pieces) > MOST_PARTS + 1:
            raise MultipartError(f"more than {MOST_PARTS} parts")
        raise MultipartError("the form is cut off: its last boundary is missing")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, blank, data = piece.partition(b"\r\n\r\n")
    # White space may stand behind a boundary; a part without headers begins with the empty line.
    _, line_end, lines = head.partition(b"\r\n")
    if not blank or not line_end or len(lines) > LONGEST_HEAD:
        raise MultipartError("a part has no headers, or too many")
    message = Message()
    for line in lines.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise MultipartError("a part's header cannot be read")
        message[name.strip() or "-"] = value.strip()
    field = message.get_param("name", header="Content-Disposition")
    if not isinstance(field, str):
        raise MultipartError("a part has no name")
    return Part(name=field, file_name=message.get_filename(), data=data)
