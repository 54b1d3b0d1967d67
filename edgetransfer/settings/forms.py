"""How values are written on the command line that have no text of their own."""

from __future__ import annotations

from typing import Any

from edgetransfer.errors import UsageError
from edgetransfer.settings.option import Form

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def _read_triple(option: str, text: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is not three numbers with commas, such as 0.485,0.456,0.406"
        ) from None
    return red, green, blue


def _read_automatic(option: str, text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is neither auto nor a number") from None


def _read_bytes(option: str, text: str) -> int:
    digits = text.strip().upper().removesuffix("IB").removesuffix("B")
    number, unit = (digits[:-1], digits[-1:]) if digits[-1:].isalpha() else (digits, "")
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"{option}: {text!r} is not a size such as 64M or 2G") from None
    if size < 0:
        raise UsageError(f"{option}: a size is not negative")
    return size


def _write_bytes(value: int | None) -> str | None:
    if value is None:
        return None
    unit = "".join([u for u, size in _UNITS.items() if value and value % size == 0][-1:])
    return f"{value // _UNITS[unit]}{unit}"


def _write_list(value: Any) -> str | None:
    return None if value is None else ",".join(map(str, value))


TRIPLE = Form(read=_read_triple, write=_write_list)
"""``R,G,B``."""

AUTOMATIC = Form(read=_read_automatic, write=lambda v: "auto" if v is None else repr(v))
"""A number, or ``auto`` for None."""

BYTES = Form(read=_read_bytes, write=_write_bytes)
"""A number of bytes, perhaps with K, M, G or T for powers of 1024."""

WORDS = Form(read=lambda _option, text: tuple(text.split(",")), write=_write_list)
"""Words with commas between."""
