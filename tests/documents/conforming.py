"""Whether JSON is what a typed dictionary says."""

from __future__ import annotations

import types
from typing import (
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)


def departures(value: Any, kind: Any, path: str = "") -> list[str]:
    """Where a value of JSON is not of a type: keys that are not known or lack, other kinds."""
    origin = get_origin(kind)
    if origin is NotRequired:
        return departures(value, get_args(kind)[0], path)
    if kind is Any:
        return []
    if is_typeddict(kind):
        return _of_record(value, kind, path)
    if origin in (Union, types.UnionType):
        found = [departures(value, one, path) for one in get_args(kind)]
        return [] if [] in found else min(found, key=len)
    if origin is Literal:
        return [] if value in get_args(kind) else [f"{path}: {value!r} is none of {get_args(kind)}"]
    if origin is list and isinstance(value, list):
        inner = get_args(kind)[0]
        return [text for i, v in enumerate(value) for text in departures(v, inner, f"{path}[{i}]")]
    if origin is dict and isinstance(value, dict):
        inner = get_args(kind)[1]
        return [text for k, v in value.items() for text in departures(v, inner, f"{path}.{k}")]
    if kind is float and value is None:
        return []  # JSON has no nan
    accepted = (int, float) if kind is float else type(None) if kind in (None, type(None)) else kind
    if (
        origin is None
        and isinstance(value, accepted)
        and (kind is bool or not isinstance(value, bool))
    ):
        return []
    return [f"{path}: {type(value).__name__} in place of {kind}"]


def _of_record(value: Any, kind: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {type(value).__name__} in place of {kind.__name__}"]
    hints = get_type_hints(kind, include_extras=True)
    # Not __required_keys__, which does not see through annotations that are strings.
    required = {key for key, hint in hints.items() if get_origin(hint) is not NotRequired}
    lacks = [f"{path}: lacks {key}" for key in sorted(required - set(value))]
    unknown = [
        f"{path}: {key} is not in {kind.__name__}" for key in sorted(set(value) - set(hints))
    ]
    inside = [
        text
        for key, hint in hints.items()
        if key in value
        for text in departures(value[key], hint, f"{path}.{key}" if path else key)
    ]
    return lacks + unknown + inside
