"""What a notebook shows: progress in place, predictions as a table and a frame."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import edgetransfer
from edgetransfer import Classifier, EdgeTransferError, Prediction, Predictions
from edgetransfer.api import progress
from edgetransfer.types import no_progress
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


class Cell:
    """What IPython's display does: a handle for each output, which may be renewed."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def display(self, shown: Any, *, display_id: bool) -> Cell:
        assert display_id
        self.lines.append(shown)
        return self

    def update(self, shown: Any) -> None:
        self.lines.append(shown)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    made = Cell()
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.display = made.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return made


def test_training_shows_how_far_it_is(
    cell: Cell, photos: Path, backbone: Path, tmp_path: Path
) -> None:
    edgetransfer.train_linear(data=photos, out=tmp_path / "run", backbone=str(backbone))
    stages = {line.stage for line in cell.lines}
    assert len(stages) >= 2
    assert any(line.total == 60 and line.done == 60 for line in cell.lines)
    assert all("<progress" in line._repr_html_() for line in cell.lines)


def test_elsewhere_and_with_ones_own_nothing_is_shown(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine: list[tuple[str, int, int]] = []

    def note(stage: str, done: int, total: int) -> None:
        mine.append((stage, done, total))

    assert progress.told(note) is note
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace())
    assert progress.told(None) is no_progress  # a shell of IPython's is no notebook
    assert not cell.lines


def test_a_line_says_rate_and_time_left(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: clock[0])
    show = progress.told(None)
    for done in range(1001):
        show("<features>", done, 1000)
        clock[0] += 0.1
    assert len(cell.lines) < 400
    texts = [repr(line) for line in cell.lines]
    assert texts[0] == "<features>: 0 of 1,000"
    assert ", 10/s, " in texts[100]
    assert texts[-1] == "<features>: 1,000 of 1,000, 10/s"
    assert "&lt;features&gt;" in cell.lines[0]._repr_html_()
    assert progress._duration(59.6) == "1:00"
    assert progress._duration(3725) == "1:02:05"


def test_predictions_are_a_table(photos: Path, backbone: Path, tmp_path: Path) -> None:
    edgetransfer.train_linear(data=photos, out=tmp_path / "run", backbone=str(backbone))
    files = sorted((photos / "test" / "red").iterdir())
    (tmp_path / "<b>.jpg").write_bytes(b"no picture")
    with Classifier.load(tmp_path / "run") as classifier:
        found = classifier.predict([*files, tmp_path / "<b>.jpg"])
    assert isinstance(found, Predictions)
    assert found.to_dict() == [one.to_dict() for one in found]
    assert "<b>" not in found._repr_html_()
    assert "&lt;b&gt;.jpg" in found._repr_html_()
    pandas = pytest.importorskip("pandas")
    frame = found.to_frame()
    assert list(frame["id"]) == [one.id for one in found]
    assert frame["error"].notna().sum() == 1
    assert frame["probability"][:5].between(0, 1).all()
    assert isinstance(Predictions().to_frame(), pandas.DataFrame)


def test_a_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(EdgeTransferError, match="pip install pandas"):
        Predictions([Prediction(id="a")]).to_frame()
