"""Reports have the keys that the code says they have, and so has the JSON reference."""

from __future__ import annotations

from typing import NotRequired, TypedDict

import pytest

from edgetransfer.reports.catalogue import REPORTS
from tests.documents.conforming import departures
from tests.documents.programs import program

commands = program("commands")
json_keys = program("json_keys")

AS_ANOTHER = {"backbones get"}  # prints what import does


class Inner(TypedDict):
    """One."""

    x: float | None
    y: NotRequired[str]


class Outer(TypedDict):
    """All.

    Keys
    ----
    a
        How
        many.
    """

    a: int
    rows: list[Inner]
    per_class: dict[str, bool]


def test_every_command_with_json_has_its_record() -> None:
    for page in commands.pages():
        options = {flag for parameter in page.command.params for flag in parameter.opts}
        if "--json" in options and page.name not in AS_ANOTHER:
            assert page.name in REPORTS


def test_the_json_reference_is_current() -> None:
    assert json_keys.PAGE.read_text("utf-8") == json_keys.document(), "run `make reference`"


def test_keys_of_a_record_are_listed_with_what_is_in_them() -> None:
    assert [json_keys._row(key) for key in json_keys.keys_of(Outer)] == [
        "| `a` | number | How many. |",
        "| `rows` | list of object | One. |",
        "| `rows[].x` | number or null |  |",
        "| `rows[].y` | text | Not always. |",
        "| `per_class` | object |  |",
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": 1, "rows": [{"x": None}, {"x": 2, "y": "t"}], "per_class": {"red": True}}, []),
        ({"a": 1, "rows": []}, [": lacks per_class"]),
        ({"a": 1, "rows": [], "per_class": {}, "b": 0}, [": b is not in Outer"]),
        ({"a": 1.5, "rows": [], "per_class": {}}, ["a: float in place of <class 'int'>"]),
        ({"a": True, "rows": [], "per_class": {}}, ["a: bool in place of <class 'int'>"]),
        ({"a": 1, "rows": [{}], "per_class": {}}, ["rows[0]: lacks x"]),
        ({"a": 1, "rows": {}, "per_class": {}}, ["rows: dict in place of list[Inner]"]),
    ],
)
def test_what_is_not_as_a_record_says_is_named(value: object, found: list[str]) -> None:
    named = departures(value, Outer)
    assert [text.replace(f"{Inner.__module__}.", "") for text in named] == found


@pytest.mark.slow
def test_every_command_reports_what_its_record_says(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from tests.documents.made_reports import reports

    folder = tmp_path_factory.mktemp("reports")
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(folder / "cache"))
    asked, found = set(), []
    for command, report in reports(folder):
        asked.add(command)
        departed = min((departures(report, kind) for kind in REPORTS[command]), key=len)
        found += [f"{command}: {text}" for text in departed]
    assert not found, "\n".join(found)
    assert asked == set(REPORTS)
