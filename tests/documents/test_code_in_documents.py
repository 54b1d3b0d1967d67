"""Code, settings and file names in the documents are those that there are."""

from __future__ import annotations

import ast
import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import edgetransfer
from edgetransfer.settings.assembling import every_setting
from tests.api.test_public import OF_SETTINGS
from tests.conftest import REPOSITORY
from tests.documents.fences import blocks, prose
from tests.documents.test_links import DOCUMENTS, by_name

INLINE = re.compile(r"(?<!`)`(edgetransfer [a-z]+[^`]*)`(?!`)")
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
MENTIONED = re.compile(r"(?<!`)`([\w./-]+/[\w.-]*|[\w./-]+\.(?:py|cpp|h|toml|md))`(?!`)")
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FILES = [REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "ARCHITECTURE.md"]
# Not files of this project: what a person makes, and what a run holds.
PLACEHOLDERS = re.compile(r"[A-Z]{3,}|config\.toml|report\.|labels\.txt|docs/_build")
WHERE = ("", "edgetransfer", "edgetransfer/backbones", "edgetransfer/data", "edgetransfer/stream")

EVERY = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY))
)


@EVERY
def test_python_calls_what_there_is(path: Path) -> None:
    """Names of the package, and the names of what is given to its functions."""
    for _, text in blocks(path.read_text("utf-8"), "python"):
        code = re.sub(r"^(?:>>>|\.\.\.) ?", "", text, flags=re.M)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module == "edgetransfer":
                assert {alias.name for alias in node.names} <= set(edgetransfer.__all__)
            if isinstance(node, ast.Attribute) and _is_package(node.value):
                assert hasattr(edgetransfer, node.attr), f"{path.name}: {node.attr}"
            if isinstance(node, ast.Call):
                _check_arguments(node, path)


def _is_package(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("edgetransfer", "et")


def _check_arguments(call: ast.Call, path: Path) -> None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    function: Any = getattr(edgetransfer, name, None) if name in edgetransfer.__all__ else None
    if function is None or not callable(function):
        return
    known = set(inspect.signature(function).parameters)
    for settings in OF_SETTINGS.get(name, ()):
        known |= {setting.name for setting in every_setting(getattr(edgetransfer, settings))}
    for keyword in call.keywords:
        assert keyword.arg is None or keyword.arg in known, f"{path.name}: {name}({keyword.arg}=)"


@EVERY
def test_settings_and_json_can_be_read(path: Path) -> None:
    for _, text in blocks(path.read_text("utf-8"), "toml"):
        assert tomllib.loads(text)
    for _, text in blocks(path.read_text("utf-8"), "json"):
        for line in text.splitlines() if not text.startswith(("{\n", "[\n")) else [text]:
            assert json.loads(line.replace("…", "null")) is not None


@EVERY
def test_commands_within_sentences_have_options_that_there_are(path: Path) -> None:
    flags = {
        name: {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        for name, command in by_name().items()
    }
    for call in INLINE.findall(prose(path.read_text("utf-8"))):
        words = call.split()[1:]
        called = [name for name in flags if words[: len(name.split())] == name.split()]
        assert called, f"{path.name}: {call}"
        typed = {word.split("=")[0].strip("[]…,") for word in words if word.startswith("--")}
        assert typed <= flags[max(called, key=len)] | {"--help"}, f"{path.name}: {call}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_options_that_are_mentioned_are_there(path: Path) -> None:
    """Whatever command, or program of the repository, they belong to."""
    flags = {f for c in by_name().values() for p in c.params for f in (*p.opts, *p.secondary_opts)}
    for programs in ("benchmarks", "docs/programs"):
        for file in (REPOSITORY / programs).glob("*.py"):
            flags |= set(re.findall(r'add_argument\(\s*"(--[\w-]+)"', file.read_text("utf-8")))
    mentioned = {
        flag
        for code in CODE.findall(prose(path.read_text("utf-8")))
        if not code.startswith(("python ", "pip ", "pytest "))
        for flag in OPTION.findall(code)
    }
    assert mentioned <= flags | {"--help", "--version"}, path.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_that_are_named_are_there(path: Path) -> None:
    """A page for those who change the code sends nobody to a file that has moved."""
    homes = ("edgetransfer", "tests", "docs", "benchmarks", "models")
    known = {file.name for home in homes for file in (REPOSITORY / home).rglob("*")}
    known |= {file.name for file in REPOSITORY.iterdir()}
    for name in MENTIONED.findall(prose(path.read_text("utf-8"))):
        if PLACEHOLDERS.search(name):
            continue
        if "/" not in name.rstrip("/"):
            assert name.rstrip("/") in known, f"{path.name} names {name}"
        else:
            places = [REPOSITORY / home / name for home in WHERE]
            places += [REPOSITORY / "edgetransfer" / room / name for room in _rooms()]
            assert any(place.exists() for place in places), f"{path.name} names {name}"


def _rooms() -> list[str]:
    return [f.name for f in (REPOSITORY / "edgetransfer").iterdir() if (f / "__init__.py").exists()]


def test_what_is_wrong_would_be_seen() -> None:
    text = "`edgetransfer train --no-such`, `native/network.cpp`, ``edgetransfer x``"
    assert INLINE.findall(text) == ["edgetransfer train --no-such"]
    assert MENTIONED.findall(text) == ["native/network.cpp"]
    assert OPTION.findall(CODE.findall("`--no-such`, `x --other=3`, ``--raw``")[0]) == ["--no-such"]
    call = ast.parse("train_linear(dat='x')").body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    with pytest.raises(AssertionError, match="dat="):
        _check_arguments(call.value, Path("page.md"))
