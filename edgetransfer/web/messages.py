"""Requests, answers, and the table of what can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from edgetransfer.names import json_text
from edgetransfer.reprs import short_repr

JSON = "application/json"


class Refusal(Exception):  # noqa: N818
    """A request that is answered with an error status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that was let in.

    Parameters
    ----------
    query
        Its fields by name, those that the route knows alone.
    headers
        As they were sent.
    body
        Reads the body; to be called at most once.
    answering
        To be called once nothing more is awaited from the client: from then on the client waits.
    """

    query: Mapping[str, str]
    headers: Message
    body: Callable[[], bytes]
    answering: Callable[[], None]

    __repr__ = short_repr

    @property
    def kind(self) -> str:
        """The body's media type, in lower case, without parameters."""
        return self.headers.get_content_type()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a request is answered with.

    Parameters
    ----------
    kind
        The media type of the body.
    headers
        Beside those that every answer has.
    """

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    __repr__ = short_repr


def json_answer(value: Any, *, status: int = 200) -> Answer:
    """A value as JSON."""
    return Answer(status=status, body=json_text(value).encode())


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path.

    Parameters
    ----------
    answer
        Called in the thread of the connection; may raise `Refusal`.
    query
        Names of the query fields that it knows; others are refused.
    open
        Whether it needs no token.
    """

    answer: Callable[[Request], Answer]
    query: frozenset[str] = frozenset()
    open: bool = False


Routes = Mapping[tuple[str, str], Route]
"""By method and exact path: what is not a key is not there."""
