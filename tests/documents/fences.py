"""The blocks of code in a Markdown document, each with what its fence says of it."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

SHELL = ("", "sh", "console")  # a block without a language is what is typed into a shell
_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<says>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
_OPERATORS = frozenset(("&", "&&", "|", "||", ";", ">", ">>", "2>&1"))


class Block(NamedTuple):
    """What stands between two fences, and the language that the first one names, or none."""

    language: str
    text: str


def blocks(document: str, *languages: str) -> Iterator[Block]:
    """All blocks, or those in some languages, in their order.

    Fences are paired from the top: the end of one block never begins another.
    """
    for found in _BLOCK.finditer(document):
        language = found["says"].split(" ")[0]
        if not languages or language in languages:
            yield Block(language, textwrap.dedent(found["text"]))


def prose(document: str) -> str:
    """The document without its blocks."""
    return _BLOCK.sub("", document)


def calls(document: str) -> list[str]:
    """The calls of ``edgetransfer`` in its shell blocks, as they are typed."""
    found = []
    for block in blocks(document, *SHELL):
        for line in block.text.replace("\\\n", " ").splitlines():
            command = line.removeprefix("$ ").split("  #")[0].strip()
            if re.match(r"(?:[\w ']+\| )?edgetransfer ", command):
                found.append(_alone(command))
    return found


def _alone(command: str) -> str:
    """A call without what the shell does around it."""
    words = shlex.split(command)
    words = words[words.index("edgetransfer") :]
    end = next((i for i, word in enumerate(words) if word in _OPERATORS), len(words))
    return shlex.join(words[:end])
