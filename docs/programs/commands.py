"""Writes ``docs/commands.md``: every command and option, from the application itself.

python docs/programs/commands.py           # write it
python docs/programs/commands.py --check   # exit code 1 if it is not what would be written
"""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from edgetransfer.cli.main import app

PAGE = Path(__file__).resolve().parent.parent / "commands.md"
EXAMPLES = "Examples:"
INTRODUCTION = """\
# Commands

This page is made from the program itself: `make reference` writes it anew.

`edgetransfer COMMAND --help` shows the same in a terminal. What a command finds out goes to stdout,
with `--json` as one JSON object ([its keys](json.md)); progress, remarks and warnings go to stderr.

| exit code | |
|---|---|
| 0 | fine |
| 1 | something failed: a full disk, a run folder of another process |
| 2 | the call itself does not fit together, or `--out` is taken |
| 3 | data that cannot be used: photos, an ONNX file, a head |
| 4 | the engine cannot run this backbone, or its result cannot be trusted |
| 130 | interrupted |
"""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A command's help page.

    Parameters
    ----------
    name
        As it is typed after ``edgetransfer``.
    command
        What runs.
    text
        The paragraphs before the examples.
    examples
        Each as it is typed, perhaps over several lines.
    """

    name: str
    command: Any
    text: str
    examples: tuple[str, ...]


def pages() -> Iterator[Page]:
    """The help pages of all commands, groups before what is in them."""
    root = typer.main.get_command(app)
    yield from _pages((), root)


def arguments_of(example: str) -> list[str]:
    """What an example gives to ``edgetransfer``, as a shell would split it."""
    words = shlex.split(example.replace("\\\n", " "))
    return words[words.index("edgetransfer") + 1 :]


def _pages(path: tuple[str, ...], group: Any) -> Iterator[Page]:
    for name, command in group.commands.items():
        text = inspect.cleandoc(command.help or "")
        before, _, after = text.partition(f"\n\n{EXAMPLES}\n\n")
        yield Page(
            name=" ".join((*path, name)),
            command=command,
            text=before,
            examples=tuple(part.strip() for part in after.split("\n\n") if part.strip()),
        )
        if hasattr(command, "commands"):
            yield from _pages((*path, name), command)


def document() -> str:
    """The page's text."""
    listed = list(pages())
    lines = [INTRODUCTION, "| command | |", "|---|---|"]
    for page in listed:
        anchor = f"edgetransfer {page.name}".replace(" ", "-")
        first = page.text.split("\n\n")[0].replace("\n", " ")
        lines.append(f"| [`{page.name}`](#{anchor}) | {_cell(first)} |")
    return "\n".join((*lines, "", *(_section(page) for page in listed)))


def _section(page: Page) -> str:
    examples = "\n\n".join(page.examples)
    arguments = [p for p in page.command.params if p.param_type_name == "argument"]
    options = [p for p in page.command.params if p.param_type_name == "option"]
    usage = " ".join((*(_argument(p) for p in arguments), "[OPTIONS]"))
    lines = [f"## edgetransfer {page.name}", "", page.text, ""]
    lines += ["```", examples, "```", "", f"    edgetransfer {page.name} {usage}", ""]
    if arguments:
        lines += ["| argument | |", "|---|---|"]
        lines += [f"| `{p.metavar or p.name.upper()}` | {_cell(p.help)} |" for p in arguments]
        lines.append("")
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(option.rich_help_panel or "", []).append(option)
    for panel, members in panels.items():
        lines += [f"| {panel or 'option'} | value | | default |", "|---|---|---|---|"]
        lines += [_row(option) for option in members if option.name != "help"]
        lines.append("")
    return "\n".join(lines)


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    shown = name if parameter.nargs == 1 else f"{name.rstrip('…')}…"
    return shown if parameter.required else f"[{shown}]"


def _row(option: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f"`{option.metavar or option.type.name.upper()}`"
    if option.multiple:
        value += " (repeated)"
    help_text = option.help or ""
    if option.envvar:
        help_text += f" Environment: {option.envvar}."
    return f"| {flags} | {_escaped(value)} | {_cell(help_text)} | {_default(option)} |"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    value = option.default
    if callable(value) or value is None or value == "" or "Default:" in (option.help or ""):
        return ""
    if option.is_flag:
        flags = option.opts if value else option.secondary_opts
        return f"`{flags[0]}`" if option.secondary_opts else ""
    return f"`{value}`"


def _cell(text: str | None) -> str:
    return _escaped(" ".join((text or "").split()))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page, or compare it."""
    text = document()
    if "--check" in sys.argv[1:]:
        return int(not PAGE.is_file() or PAGE.read_text("utf-8") != text)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
