"""Text for LaTeX."""

from __future__ import annotations

# What TeX takes for commands, and what stands for it.
_TEX = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def tex(text: str) -> str:
    """A name as LaTeX shows it, in one line."""
    one_line = " ".join(text.split())
    return "".join(_TEX.get(character, character) for character in one_line)
