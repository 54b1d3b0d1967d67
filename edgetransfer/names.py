"""Names that need not be text: files may be called by any bytes.

Python holds a byte that is not UTF-8 as a lone surrogate, U+DC80 to U+DCFF (PEP 383), which no
strict encoder writes. These functions are the one way that names leave the program: every writer
of JSON, of a terminal and of a file's metadata goes through them, and what a program wrote it
reads back as it was.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Bytes that are not UTF-8, and all that moves a cursor or colours a terminal; tabs and line breaks
# are our own layout.
_UNSEEMLY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff]")


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""JSON that any encoder of Unicode can write, with letters of all kinds as they are.

    A lone surrogate is written as its escape, ``\udce4``: `json.loads` gives the same value back.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def readable(text: str) -> str:
    """The text for people and for metadata: what is not Unicode, and controls, are escaped."""
    escaped = _UNSEEMLY.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)
    return escaped.encode("utf-8", "backslashreplace").decode()


def is_file_name(text: str) -> bool:
    """Whether a file can be called so, on this system."""
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return False
