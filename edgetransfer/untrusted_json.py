"""JSON that others send or keep: an error that is awaited, and bounded before it is parsed.

Parsed, it may take two dozen times its own length: ``{},`` is three bytes, and an empty dictionary
with its place in a list 72. What is counted first are the characters that every further value
needs: base64 has none of them, and a name of a thousand letters may well be all commas.
"""

from __future__ import annotations

import json
from typing import Any

MOST_VALUES = 10_000


def json_object(text: str | bytes, *, most: int = MOST_VALUES) -> dict[str, Any]:
    """A JSON object of no more values than that, whatever their depth.

    Raises
    ------
    ValueError
        If it is anything else; the message says what.
    """
    # In UTF-16 and UTF-32, which JSON may be in as well, each of them is such a byte, too.
    if isinstance(text, bytes):
        count = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    else:
        count = sum(text.count(mark) for mark in (",", "[", "{"))
    if count > most:
        raise ValueError(f"more than {most} values")
    value = json_value(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def json_value(text: str | bytes) -> Any:
    """What a JSON text says, whatever is in it: also too deep to be parsed, or no UTF-8.

    Raises
    ------
    ValueError
        If it is not valid.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # Of an integer of thousands of digits, which Python does not read, too.
        raise ValueError(f"not valid JSON: {error}") from None
