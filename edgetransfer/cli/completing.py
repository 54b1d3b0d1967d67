"""Values that a shell completes: names of backbones, run folders, engines in a list.

What an option's value is called decides it: ``RUN``, ``FILE|NAME``, ``ENGINE,…``. Choices are
completed by Typer, and what is not named here by the shell, as a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

Completion = Callable[[str], list[str]]

CONFIG = "config.toml"


def completion_of(metavar: str | None) -> Completion | None:
    """What completes the values of an option that are called so; None for what a shell does."""
    words = (metavar or "").rstrip("…").split("|")
    if "RUN" in words:
        return runs
    if "NAME" in words and "FILE" in words:
        return backbones
    return engines if metavar == "ENGINE,…" else None


def runs(begun: str) -> list[str]:
    """Run folders, the folders on the way to some, and exported files."""
    return sorted(_runs(begun))


def _runs(begun: str) -> Iterator[str]:
    folder, slash, name = begun.rpartition("/")
    try:
        found = list(Path(f"{folder}{slash}" or ".").expanduser().iterdir())
    except OSError:
        return
    for path in found:
        if not path.name.startswith(name) or (path.name.startswith(".") and not name):
            continue
        text = f"{folder}{slash}{path.name}"
        try:
            if path.is_dir():
                yield text if (path / CONFIG).is_file() else f"{text}/"
            elif path.suffix == ".onnx":
                yield text
        except OSError:
            continue


def backbones(begun: str) -> list[str]:
    """Names of backbones, and ONNX files."""
    from edgetransfer.backbones.catalogue import bundled, installed

    known = sorted({*bundled(), *installed()})
    return [*(name for name in known if name.startswith(begun)), *runs(begun)]


def engines(begun: str) -> list[str]:
    """The next engine of a list with commas."""
    from edgetransfer.settings.shared import ENGINES

    before, comma, last = begun.rpartition(",")
    named = before.split(",")
    return [f"{before}{comma}{e}" for e in ENGINES if e.startswith(last) and e not in named]
