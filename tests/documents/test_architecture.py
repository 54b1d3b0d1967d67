"""The table of rooms in ARCHITECTURE.md is that of the tree, and the layers of the contract too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import edgetransfer
from tests.conftest import REPOSITORY

PACKAGE = Path(edgetransfer.__file__).parent
LONGEST_FILE = 350  # lines


def rooms() -> set[str]:
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return found | {path.stem for path in PACKAGE.glob("[!_]*.py")}


def test_every_room_is_in_the_table() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text("utf-8")
    first = "\n".join(re.findall(r"^\| (.*?) \|", text, re.MULTILINE))
    assert rooms() <= set(re.findall(r"`([a-z_]+)(?:/|\.py)`", first))
    for name in re.findall(r"`([a-z_]+)/`", first):
        assert (PACKAGE / name).is_dir(), name


def test_every_room_has_a_layer() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    layers = next(
        contract["layers"]
        for contract in contracts["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    named = set(re.findall(r"[a-z_]+", " ".join(layers)))
    assert rooms() <= named, rooms() - named


def test_no_file_is_long() -> None:
    rooms = [
        REPOSITORY / name for name in ("edgetransfer", "tests", "benchmarks", "docs", "models")
    ]
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for room in rooms
        for kind in ("py", "cpp", "h", "js", "css")
        for path in room.rglob(f"*.{kind}")
        if "_build" not in path.parts
        and (lines := path.read_text("utf-8").count("\n")) > LONGEST_FILE
    }
    assert not long
