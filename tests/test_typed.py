"""Types that are held against what a file says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
import pytest

from edgetransfer.typed import misfit, misfit_field


class Part(TypedDict):
    share: float


class Record(TypedDict):
    name: str
    parts: list[Part]
    counts: dict[str, int]
    kind: Literal["a", "b"] | None
    later: NotRequired[bool]


WHOLE: dict[str, Any] = {
    "name": "x",
    "parts": [{"share": 1}, {"share": np.float32(0.5)}],
    "counts": {"a": 1},
    "kind": None,
    "later": True,
    "unknown": object(),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"kind": "b"}, None),
        ({"name": 3}, "name is not a text"),
        ({"parts": {}}, "parts is no list"),
        ({"parts": [{}]}, "parts[0] lacks 'share'"),
        ({"parts": [{"share": 1}, {"share": "1"}]}, "parts[1].share is not a number"),
        ({"parts": [None]}, "parts[0] is no object"),
        ({"counts": []}, "counts is no object"),
        ({"counts": {"a": 1.5}}, "counts.a is not a whole number"),
        ({"counts": {"a": True}}, "counts.a is not a whole number"),
        ({"kind": "c"}, "kind is none of a, b"),
        ({"later": None}, "later is not true or false"),
    ],
)
def test_the_first_place_that_does_not_fit(change: dict[str, Any], said: str | None) -> None:
    assert misfit({**WHOLE, **change}, Record) == said


def test_what_may_be_lacking() -> None:
    assert misfit({**WHOLE, "parts": [{}]}, Record, may_lack=frozenset(["share"])) is None
    without = {key: value for key, value in WHOLE.items() if key not in ("name", "later")}
    assert misfit(without, Record) == "lacks 'name'"
    assert misfit([], Record, "report") == "report is no object"


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        (1, int, True),
        (np.int64(1), int, True),
        (1.0, int, False),
        (1, float, True),
        (False, float, False),
        ("a", Path, True),
        (Path("a"), str, True),
        (b"a", str, False),
        ((1.0, 2.0), tuple[float, float], True),
        ((1.0,), tuple[float, float], False),
        (["a", "b"], tuple[str, ...], True),
        ("ab", tuple[str, ...], False),
        (3, Annotated[int | None, "of any use"], True),
        (print, object, True),
    ],
)
def test_plain_types(value: Any, kind: Any, fits: bool) -> None:
    assert (misfit(value, kind) is None) == fits


def test_fields_of_a_data_class() -> None:
    @dataclass
    class Made:
        size: int
        mean: tuple[float, float]

    Made.__module__ = __name__
    assert misfit_field(Made(size=3, mean=(0, 1))) is None
    assert misfit_field(Made(size=3, mean=(0, "x"))) == "mean[1] is not a number"  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    assert misfit(np.True_, bool) is None
    assert misfit(np.int64(3), int) is None
    assert misfit(np.float32(3), float) is None
    assert misfit(np.True_, int, "n") == "n is not a whole number"
