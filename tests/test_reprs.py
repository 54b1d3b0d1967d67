"""No public object floods a prompt."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

import edgetransfer
from edgetransfer.api.reports import Report
from edgetransfer.heads import LinearHead
from edgetransfer.reprs import LONGEST
from edgetransfer.train import LinearTraining, Prediction, Predictions

LONG: tuple[Any, ...] = (
    "x" * 5000,
    "\N{PILE OF POO}\n\x00" * 500,
    Path("/a") / ("b" * 300) / ("c" * 300),
    b"\0" * 5000,
    np.zeros((300, 300), np.float32),
    tuple(range(10_000)),
    tuple("name" * 50 for _ in range(1000)),
    [[["deep"] * 100] * 100] * 100,
    {f"key {i}": "v" * 100 for i in range(1000)},
    frozenset(range(1000)),
    10**300,
    1e300,
    None,
    LinearHead.initial(64, tuple(f"class {i}" for i in range(500)), 0),
)


def public_classes() -> list[type]:
    rooms = ["edgetransfer"] + [
        f"edgetransfer.{module.name}"
        for module in pkgutil.iter_modules(edgetransfer.__path__)
        if module.ispkg
    ]
    found: dict[str, type] = {}
    for room in rooms:
        module = importlib.import_module(room)
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if inspect.isclass(thing):
                found[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return list(found.values())


RECORDS = [c for c in public_classes() if dataclasses.is_dataclass(c)]


def filled(record: type, value: Any) -> Any:
    made = object.__new__(record)
    for field in dataclasses.fields(record):
        object.__setattr__(made, field.name, value)
    return made


@pytest.mark.parametrize("record", RECORDS, ids=lambda c: c.__name__)
def test_a_record_is_shown_in_a_few_lines_whatever_it_holds(record: type) -> None:
    for value in LONG:
        text = repr(filled(record, value))
        assert len(text) <= LONGEST == 400
        assert text.startswith(f"{record.__name__}(")
        assert "\n" not in text
    nested = filled(record, filled(record, LONG[4]))
    assert len(repr(nested)) <= LONGEST


def test_other_public_classes_show_no_more_than_their_name() -> None:
    for other in public_classes():
        if other not in RECORDS and not issubclass(other, BaseException):
            shown = Report | BaseEstimator | Predictions
            known = other.__name__ == "Classifier" or issubclass(other, shown)
            assert other.__repr__ is object.__repr__ or known, other


Scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(
    st.recursive(
        Scalar,
        lambda s: st.lists(s) | st.tuples(s, s) | st.dictionaries(st.text(), s),
        max_leaves=20,
    )
)
def test_any_value_is_cut(value: Any) -> None:
    assert len(repr(Prediction(id=value, classes=value, probabilities=value))) <= LONGEST


def test_what_was_set_is_shown_and_nothing_else() -> None:
    settings = LinearTraining(
        backbone="net", data=Path("photos"), out=Path("run"), solver="lbfgs", seed=3
    )
    assert repr(settings) == (
        "LinearTraining(data='photos', out='run', backbone='net', solver='lbfgs', seed=3)"
    )
    found = Prediction(id="a.jpg", classes=("cat", "dog"), probabilities=(0.75, 0.25))
    assert repr(found) == (
        "Prediction(id='a.jpg', classes=('cat', 'dog'), probabilities=(0.75, 0.25))"
    )
    found = Prediction(id="a.jpg", classes=("cat",) * 5, probabilities=(0.97640800, 1.0, 1 / 300))
    assert "probabilities=(0.9764, 1.0, 0.003333)" in repr(found)


@given(st.lists(st.tuples(st.text(), st.text(min_size=1), st.booleans()), max_size=60))
def test_many_predictions_are_one_short_line(rows: list[tuple[str, str, bool]]) -> None:
    found = Predictions(
        Prediction(id=name, classes=(c,), probabilities=(0.5,), unknown=unknown)
        for name, c, unknown in rows
    )
    assert len(repr(found)) <= LONGEST
    assert "\n" not in repr(found)
    assert repr(found).startswith(f"Predictions({len(rows)} photo{'s' * (len(rows) != 1)}")
    assert found == list(found)
