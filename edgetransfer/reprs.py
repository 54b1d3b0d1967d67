"""What a record shows of itself at a prompt: its name and what was set, in a few lines at most.

The generated ``__repr__`` of a dataclass writes out all that it holds, which of a graph or of
features are megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import PurePath
from typing import Any

from edgetransfer.confidential import without_secrets

LONGEST = 400  # characters
LONGEST_VALUE = 60
SHOWN = 3  # items of a sequence


def short_repr(record: Any) -> str:
    """The ``__repr__`` of a dataclass: the fields that are not as usual, each cut short."""
    values = {field.name: (field, getattr(record, field.name)) for field in fields(record)}
    unusual = {
        name: value
        for name, (field, value) in values.items()
        if field.repr and not _is_usual(field, value)
    }
    return short_record(type(record).__name__, unusual)


def short_record(name: str, values: Mapping[str, Any]) -> str:
    """A record by its name and values, each cut short, in `LONGEST` characters at most."""
    parts: list[str] = []
    room = LONGEST - len(name) - len("(, …)")
    for key, value in values.items():
        part = f"{key}={_short(value)}"
        room -= len(part) + 2
        if room < 0:
            parts.append("…")
            break
        parts.append(part)
    return f"{name}({', '.join(parts)})"


def _is_usual(field: Field[Any], value: Any) -> bool:
    if field.default_factory is not MISSING:
        usual = field.default_factory()
    elif field.default is not MISSING:
        usual = field.default
    else:
        return False
    return type(usual) is type(value) and not hasattr(value, "dtype") and bool(usual == value)


def _short(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | complex):
        return _cut(repr(value))
    if isinstance(value, str):
        value = without_secrets(value)
        return _cut(repr(value[:LONGEST_VALUE] + ("…" if len(value) > LONGEST_VALUE else "")))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value):,} bytes>"
    if isinstance(value, PurePath):
        text = without_secrets(str(value))
        return repr(text if len(text) <= LONGEST_VALUE else "…" + text[1 - LONGEST_VALUE :])
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"<{value.dtype} {value.shape}>"
    if isinstance(value, tuple | list):
        return _sequence(value)
    if isinstance(value, Mapping | Set):
        return f"<{len(value):,} items>" if value else "{}"
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}(…)"
    return f"<{getattr(value, '__name__', type(value).__name__)[:LONGEST_VALUE]}>"


def _sequence(values: tuple[Any, ...] | list[Any]) -> str:
    shown = [_digits(v) if isinstance(v, float) else _short(v) for v in values[:SHOWN]]
    if len(values) > SHOWN:
        shown.append("…")
    text = f"({', '.join(shown)}{',' if len(values) == 1 else ''})"
    return text if len(text) <= LONGEST_VALUE else f"<{len(values):,} items>"


def _digits(value: float) -> str:
    text = repr(value)
    return text if len(text) <= len("-1.0000") else f"{value:.4g}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
