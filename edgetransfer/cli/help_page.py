"""Help pages in plain text: what a command does, its examples, its options under their headings.

Typer's own pages want rich, which takes longer to load than all else that a help page needs.
"""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

WIDEST = 100  # columns, on wider terminals too: longer lines are hard to read
LEFT = 26  # columns at most for a name; a longer one has a line of its own
EXAMPLES = "Examples:"


def command_page(command: Any, context: Any) -> str:
    """The help page of a command, as Typer made it."""
    parameters = [p for p in command.get_params(context) if not getattr(p, "hidden", False)]
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    options = [p for p in parameters if p.param_type_name == "option"]
    nested = hasattr(command, "summaries")
    usage = ["[OPTIONS]", *map(argument_name, arguments), *(["COMMAND …"] if nested else [])]
    sections: dict[str, list[tuple[str, str]]] = {
        "Arguments": [(argument_name(p), described(p)) for p in arguments],
        "Options": [],
    }
    for option in options:
        panel = getattr(option, "rich_help_panel", None) or "Options"
        sections.setdefault(panel, []).append((option_name(option), described(option)))
    if nested:
        sections["Commands"] = command.summaries
    return page(f"{context.command_path} {' '.join(usage)}", command.help or "", sections)


def page(usage: str, text: str, sections: Mapping[str, Iterable[tuple[str, str]]]) -> str:
    """A help page.

    Parameters
    ----------
    usage
        How it is called.
    text
        What it does, in paragraphs; those behind a line ``Examples:`` stay as they are.
    sections
        Rows of (name, description) by heading; those without rows are left out.
    """
    width = min(shutil.get_terminal_size().columns, WIDEST)
    before, examples, after = inspect.cleandoc(text).partition(EXAMPLES)
    parts = [f"{_heading('Usage:')} {usage}"]
    parts += [textwrap.fill(" ".join(p.split()), width) for p in before.split("\n\n") if p.strip()]
    if examples:
        parts += [_heading(EXAMPLES), textwrap.indent(after.strip(), "  ")]
    for heading, rows in sections.items():
        listed = list(rows)
        left = min(max((len(name) for name, _ in listed), default=0), LEFT)
        lines = [line for name, said in listed for line in _row(name, said, left, width)]
        if lines:
            parts.append("\n".join((_heading(f"{heading}:"), *lines)))
    return "\n\n".join(parts)


def argument_name(parameter: Any) -> str:
    """An argument as it stands in the usage: in brackets if it may be left out."""
    name = (parameter.metavar or parameter.name.upper()).strip("[]")
    shown = name if parameter.nargs == 1 else f"{name.rstrip('…')}…"
    return shown if parameter.required else f"[{shown}]"


def option_name(option: Any) -> str:
    """An option as it is typed: its short name first, its value behind."""
    flags = sorted(option.opts, key=len)
    if option.secondary_opts == [f"--no-{flags[-1].removeprefix('--')}"]:
        flags[-1] = f"--[no-]{flags[-1].removeprefix('--')}"
    else:
        flags += option.secondary_opts
    value = "" if option.is_flag else f" {option.metavar or 'VALUE'}"
    return ", ".join(flags) + value


def described(parameter: Any) -> str:
    """What it is, its bounds, and what it is if nothing is given."""
    notes = [note for note in (_bounds(parameter), default_of(parameter)) if note]
    if getattr(parameter, "multiple", False):
        notes.append("may be repeated")
    if parameter.envvar:
        notes.append(f"environment: {parameter.envvar}")
    if parameter.required and parameter.param_type_name == "option":
        notes.append("required")
    text = parameter.help or ""
    return f"{text} [{'; '.join(notes)}]".strip() if notes else text


def default_of(parameter: Any) -> str:
    """The value that it has if nothing is given, as it would be typed; "" if there is none."""
    value = parameter.default
    if parameter.required or callable(value) or value in (None, "", [], ()):
        return ""
    if "Default:" in (parameter.help or ""):
        return ""
    if getattr(parameter, "is_flag", False):
        flags = parameter.opts if value else parameter.secondary_opts
        return f"default: {flags[0]}" if parameter.secondary_opts else ""
    shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return f"default: {shown}"


def _bounds(parameter: Any) -> str:
    kind = getattr(parameter, "type", None)  # where Typer uses click's own bounds
    low = getattr(parameter, "min", None)
    high = getattr(parameter, "max", None)
    low = getattr(kind, "min", None) if low is None else low
    high = getattr(kind, "max", None) if high is None else high
    if low is None:
        return "" if high is None else f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _row(name: str, text: str, left: int, width: int) -> Iterator[str]:
    said = textwrap.wrap(" ".join(text.split()), max(width - left - 4, 20)) or [""]
    if len(name) > left:
        yield f"  {name}"
    else:
        yield f"  {name:<{left}}  {said.pop(0)}".rstrip()
    for line in said:
        yield f"{' ' * (left + 4)}{line}"


def _heading(text: str) -> str:
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return f"\x1b[1m{text}\x1b[0m"
