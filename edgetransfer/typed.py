"""Whether a value is of the type that is declared for it: what a file says is not believed."""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

# A number of NumPy is one; True is not. A path may be its text.
PLAIN: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"),
    int: lambda value: isinstance(value, Integral) and not isinstance(value, bool),
    float: lambda value: isinstance(value, Real) and not isinstance(value, bool),
    str: lambda value: isinstance(value, str | os.PathLike),
    Path: lambda value: isinstance(value, str | os.PathLike),
}
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text",
         Path: "a path"}  # fmt: skip


def misfit(
    value: Any, kind: Any, place: str = "", *, may_lack: frozenset[str] = frozenset()
) -> str | None:
    """The first place in a value that is not of a type, in words; None if all is.

    Parameters
    ----------
    kind
        A type as in an annotation: plain ones, unions, literals, tuples, lists, dictionaries, and
        typed dictionaries. Others fit what is an instance of them.
    place
        What the value itself is called.
    may_lack
        Keys that a typed dictionary may be without, though they are required.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Annotated, NotRequired, Required):
        return misfit(value, inner[0], place, may_lack=may_lack)
    if origin in (Union, types.UnionType):
        found = [misfit(value, part, place, may_lack=may_lack) for part in inner]
        return None if None in found else max(found, key=lambda text: len(text or ""))
    if kind is Any or kind is object:
        return None
    if kind is None or kind is type(None):
        return None if value is None else f"{place} is not null"
    if origin is Literal:
        return None if value in inner else f"{place} is none of {', '.join(map(str, inner))}"
    if kind in PLAIN:
        return None if PLAIN[kind](value) else f"{place} is not {WORDS[kind]}"
    if is_typeddict(kind):
        return _misfit_in_record(value, kind, place, may_lack)
    if origin is not None:
        return _misfit_in_many(value, origin, inner, place, may_lack)
    return (
        None
        if not isinstance(kind, type) or isinstance(value, kind)
        else (f"{place} is not {kind.__name__}")
    )


def misfit_field(instance: Any) -> str | None:
    """As `misfit`, of the fields of a data class that was made of what a file says."""
    made: Any = type(instance)
    for field in fields(instance):
        kind = _hints(made)[field.name]
        if (text := misfit(getattr(instance, field.name), kind, field.name)) is not None:
            return text
    return None


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _misfit_in_record(value: Any, kind: Any, place: str, may_lack: frozenset[str]) -> str | None:
    if not isinstance(value, Mapping):
        return f"{place} is no object"
    hints = _hints(kind)
    # Not `__required_keys__`: of annotations that are text, Python 3.11 does not know them.
    needed = (key for key, hint in hints.items() if get_origin(hint) is not NotRequired)
    if lacking := set(needed) - may_lack - value.keys():
        return f"{place} lacks {min(lacking)!r}".lstrip()
    for key, one in value.items():
        if key in hints:
            where = f"{place}.{key}" if place else key
            if (text := misfit(one, hints[key], where, may_lack=may_lack)) is not None:
                return text
    return None


def _misfit_in_many(
    value: Any, origin: Any, inner: tuple[Any, ...], place: str, may_lack: frozenset[str]
) -> str | None:
    """As `misfit`, of the items of a list, a tuple or a dictionary."""
    if issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            return f"{place} is no object"
        named = [(f"{place}.{key}", one, inner[1]) for key, one in value.items()]
    elif issubclass(origin, Sequence):
        if not isinstance(value, list | tuple):
            return f"{place} is no list"
        of_each = origin is not tuple or inner[1:] == (...,)
        if not of_each and len(value) != len(inner):
            return f"{place} has {len(value)} values, not {len(inner)}"
        kinds = [inner[0]] * len(value) if of_each else list(inner)
        named = [
            (f"{place}[{i}]", one, kind)
            for i, (one, kind) in enumerate(zip(value, kinds, strict=True))
        ]
    else:
        return None if isinstance(value, origin) else f"{place} is not {origin.__name__}"
    for where, one, kind in named:
        if (text := misfit(one, kind, where, may_lack=may_lack)) is not None:
            return text
    return None
