"""The JSON reference has the keys that the commands print."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.documents.programs import program

commands = program("commands")
json_keys = program("json_keys")

PAGE = REPOSITORY / "docs" / "json.md"
AS_ANOTHER = {"backbones get"}  # prints what import does


def test_every_command_with_json_has_its_section() -> None:
    """Keys of a new command are asked for by a line in `json_keys.commands`."""
    text = PAGE.read_text("utf-8")
    for page in commands.pages():
        options = {flag for parameter in page.command.params for flag in parameter.opts}
        if "--json" in options and page.name not in AS_ANOTHER:
            assert f"\n## {page.name}\n" in text, page.name


def test_keys_of_several_objects_are_one_list() -> None:
    keys = json_keys.Keys()
    keys.add({"a": 1, "rows": [{"x": None}, {"x": 2.5, "y": "t"}], "per_class": {"red": 1.0}})
    keys.add({"a": None, "rows": [], "later": [[1], [2]], "per_class": {"blue": 0.5}})
    assert list(keys.lines()) == [
        "| `a` | number or null |  |",
        "| `rows` | list of object |  |",
        "| `rows[].x` | number or null |  |",
        "| `rows[].y` | text | not always |",
        "| `per_class` | object |  |",
        "| `per_class.<class>` | number |  |",
        "| `later` | list of list of number | not always |",
    ]


def test_what_is_stale_is_named() -> None:
    keys = json_keys.Keys()
    keys.add({"a": 1, "b": 2})
    text = json_keys.document({"train": keys})
    assert json_keys.differences({"train": keys}, text) == []
    keys.add({"c": {"d": True}})
    assert json_keys.differences({"train": keys}, text) == ["train lacks c", "train lacks c.d"]
    fewer = json_keys.Keys()
    fewer.add({"a": 1})
    assert json_keys.differences({"train": fewer}, text) == ["train has no b any more"]


@pytest.mark.slow
def test_the_json_reference_is_current() -> None:
    pytest.importorskip("torch")
    checked = subprocess.run(
        [sys.executable, "docs/programs/json_keys.py", "--check"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert checked.returncode == 0, f"run `make reference`\n{checked.stdout}{checked.stderr}"
