"""The head of a request as it may stand: what two readers could take for two things is refused.

A proxy that reads a head in another way than this server takes the body of one request for the
beginning of the next ("request smuggling"; RFC 9112, sections 2.2, 5.2 and 11.2). So lines end in
CRLF and nothing else, none is folded, each has a name, and what says how long the body is is said
once.
"""

from __future__ import annotations

import re
from email.message import Message
from typing import Protocol

LONGEST_HEAD = 64 * 2**10  # bytes, of all lines together: a browser sends one or two thousand
_NAMED = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")
ONCE = ("Content-Length", "Transfer-Encoding", "Authorization", "Content-Type")


class HeadError(Exception):
    """A head that is refused, with the status that says so."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Lines(Protocol):
    """What a head is read from."""

    def readline(self, size: int = -1, /) -> bytes:
        """The next line."""


class HeadLines:
    """Hands lines on, and tells whether each may stand in a head.

    Raises
    ------
    HeadError
        Where one may not, or all are too long.
    """

    def __init__(self, lines: Lines, already: int) -> None:
        self._lines = lines
        self._left = LONGEST_HEAD - already

    def readline(self, size: int = -1, /) -> bytes:
        """The next line."""
        line = self._lines.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise HeadError(431, f"more than {LONGEST_HEAD} bytes of headers")
        if line == b"\r\n":
            return line
        if not line.endswith(b"\r\n"):
            # Longer than may be asked for, or the connection has ended, or a line feed alone.
            if len(line) == size:
                raise HeadError(431, "a header is too long")
            raise HeadError(400, "a header does not end in CRLF")
        if b"\r" in line[:-2] or b"\0" in line:
            raise HeadError(400, "a header holds a control character")
        if _NAMED.match(line) is None:
            raise HeadError(400, "a header has no name, or is folded")
        return line


def check_once(headers: Message) -> None:
    """Refuse headers that may stand once and stand twice, and a body of two lengths.

    Raises
    ------
    HeadError
        For these.
    """
    for name in ONCE:
        if len(headers.get_all(name, [])) > 1:
            raise HeadError(400, f"{name} is given twice")
    if "Transfer-Encoding" in headers and "Content-Length" in headers:
        raise HeadError(400, "Content-Length and Transfer-Encoding exclude each other")
