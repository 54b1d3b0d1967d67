"""Writes ``docs/json.md``: the keys of every command's JSON, from the records in the code.

    python docs/programs/json_keys.py           # write it
    python docs/programs/json_keys.py --check   # exit code 1 if it is not what would be written

What stands in `edgetransfer.reports` is held against real runs by ``tests/documents``.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
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

from edgetransfer.reports.catalogue import REPORTS

PAGE = Path(__file__).resolve().parent.parent / "json.md"
INTRODUCTION = """\
# JSON

This page is made from the program itself: `make reference` writes it anew.

Every command takes `--json` and then prints one object on stdout; `serve` and `teach` one when they
listen, and one at the end. A key that is not there in every case is marked; `null` stands for what
is not known, and for numbers that are not finite. `report.json` of a run holds what the command
printed. Keys in angle brackets are names: of classes, of engines, of stages. Times are in seconds,
sizes in bytes, shares and accuracies lie in 0 to 1 unless a name says otherwise.

In Python they are typed: `edgetransfer.reports` has a record for each.
"""
KINDS = {str: "text", bool: "true or false", int: "number", float: "number", type(None): "null"}
# What the keys of an object are where they are names.
NAMES = {
    "per_class": "class",
    "class_counts": "class",
    "engines": "engine",
    "packages": "package",
    "versions": "package",
    "splits": "split",
    "photos": "split",
    "stages": "stage",
    "ignored": "kind",
    "left_out": "reason",
    "learned_too": "split",
    "difference": "engine",
    "cannot": "engine",
    "images_per_second": "engine",
}
KEYS = re.compile(r"\n\s*Keys\n\s*-+\n")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key: where it stands, what it holds, what that means, and whether it is always there."""

    path: str
    kind: str
    meaning: str
    always: bool


def keys_of(record: Any, path: str = "") -> Iterator[Key]:
    """The keys of a record, what is in an object behind it."""
    meanings = meanings_of(record)
    for name, hint in get_type_hints(record, include_extras=True).items():
        there = f"{path}.{name}" if path else name
        always = get_origin(hint) is not NotRequired
        held = hint if always else get_args(hint)[0]
        held_in_it = list(nested(held, there))
        said = meanings.get(name) or " ".join(summary_of(inner) for inner, _ in held_in_it)
        yield Key(path=there, kind=kind_of(held), meaning=said, always=always)
        for inner, inside in held_in_it:
            yield from keys_of(inner, inside)


def nested(hint: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The records in a value, each with its path."""
    origin, inside = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        yield hint, path
    elif origin is list:
        yield from nested(inside[0], f"{path}[]")
    elif origin is dict:
        yield from nested(inside[1], f"{path}.<{NAMES.get(path.rpartition('.')[2], 'name')}>")
    elif origin in (Union, types.UnionType):
        for one in inside:
            yield from nested(one, path)


def kind_of(hint: Any) -> str:
    """What JSON calls a value of a type; whole numbers are numbers."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(kind_of, inside)))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inside)
    if origin is list:
        return f"list of {kind_of(inside[0])}"
    return KINDS.get(hint, "object")


def summary_of(record: Any) -> str:
    """What the docstring of a record says before its keys."""
    return " ".join(KEYS.split(inspect.cleandoc(record.__doc__ or ""), maxsplit=1)[0].split())


def bases_of(record: Any) -> Iterator[Any]:
    """The records that a record is made of: Python 3.11 knows them in its source alone."""
    (written,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(written, ast.ClassDef)
    known = vars(sys.modules[record.__module__])
    named = [known[base.id] for base in written.bases if isinstance(base, ast.Name)]
    return (base for base in named if is_typeddict(base))


def meanings_of(record: Any) -> dict[str, str]:
    """What docstrings say of keys, in a section ``Keys``; those of the bases are taken too."""
    found: dict[str, str] = {}
    for base in bases_of(record):
        found |= meanings_of(base)
    parts = KEYS.split(inspect.cleandoc(record.__doc__ or ""), maxsplit=1)
    names: list[str] = []
    for line in parts[1].splitlines() if len(parts) > 1 else ():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
            found |= dict.fromkeys(names, "")
        else:
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found


def document() -> str:
    """The page's text."""
    parts = [INTRODUCTION]
    for command, records in sorted(REPORTS.items()):
        parts.append(f"## {command}\n")
        for record in records:
            if len(records) > 1:
                parts.append(f"{summary_of(record).replace('``', '`')}\n")
            parts.append("| key | | |\n|---|---|---|")
            parts += dict.fromkeys(map(_row, keys_of(record)))
            parts.append("")
    parts.append("`backbones get` prints what `import` does.\n")
    return "\n".join(parts)


def _row(key: Key) -> str:
    meaning = key.meaning.replace("``", "`").replace("|", "\\|")
    said = " ".join(text for text in ("" if key.always else "Not always.", meaning) if text)
    return f"| `{key.path}` | {key.kind} | {said} |"


def main() -> int:
    """Write the page, or compare it."""
    text = document()
    if "--check" in sys.argv[1:]:
        return int(not PAGE.is_file() or PAGE.read_text("utf-8") != text)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
