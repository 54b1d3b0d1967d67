"""The programs of ``examples/`` run, on the tests' own photos, and end in what they say."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import edgetransfer
from edgetransfer import BenchmarkReport
from edgetransfer.backbones.card import BackboneCard
from edgetransfer.types import Preprocessing
from tests.conftest import REPOSITORY
from tests.graphs_made import tiny
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]


def run(name: str, *arguments: object) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    path = tiny(size=32, width=16).save(tmp_path / "dense.onnx")
    card = BackboneCard(name="dense", preprocessing=Preprocessing(size=32, resize=36))
    path.with_suffix(".toml").write_text(card.to_toml())
    return path


def test_all_are_listed() -> None:
    listed = (REPOSITORY / "examples" / "README.md").read_text("utf-8")
    for path in (REPOSITORY / "examples").glob("*.py"):
        assert f"`{path.name} " in listed


@pytest.mark.parametrize(
    ("row", "printed"),
    [
        ({"reason": "an operator"}, "net: an operator"),
        ({"fraction_of_baseline": {"median": 0.5}}, "net: 90% zeros, 0.50 of the dense epoch"),
        (
            {"fraction_of_baseline": None, "doubts": [{"says": "others took 50%"}]},
            "net: 90% zeros, not told\n  others took 50%",
        ),
    ],
)
def test_whatever_a_measurement_finds_is_said(
    row: dict[str, object],
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = {"backbone": "net", "sparsity": 0.9, "reason": None, "doubts": [], **row}
    report = BenchmarkReport(rows=[measured])
    monkeypatch.setattr(edgetransfer, "run_benchmark", lambda **_: report)
    example = runpy.run_path(str(REPOSITORY / "examples" / "measure.py"))
    example["main"](Path("photos"), "dense.onnx", "sparse.onnx", Path("out"))
    assert capsys.readouterr().out == printed + "\n"


@pytest.mark.slow
def test_train(photos: Path, backbone: Path, tmp_path: Path) -> None:
    printed = run("train.py", photos / "train", tmp_path / "run", backbone)
    assert "48 photos of 3 classes" in printed  # 60, a fifth held out
    assert "blue" in printed
    assert (tmp_path / "run" / "head.safetensors").is_file()


@pytest.mark.slow
def test_stream(photos: Path, backbone: Path, tmp_path: Path) -> None:
    printed = run("stream.py", photos / "train", tmp_path / "run", backbone)
    assert printed.startswith("60 new photos")
    again = run("stream.py", photos / "train", tmp_path / "run", backbone)
    assert again.startswith("0 new photos")


@pytest.mark.slow
def test_sparsify_then_finetune(photos: Path, dense: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    printed = run("sparsify_finetune.py", photos / "train", dense, tmp_path / "out")
    assert "75." in printed.split("%")[0] or "74." in printed.split("%")[0]
    assert (tmp_path / "out" / "run" / "backbone.onnx").is_file()


@pytest.mark.slow
def test_measure(photos: Path, dense: Path, backbone: Path, tmp_path: Path) -> None:
    printed = run("measure.py", photos, dense, backbone, tmp_path / "bench")
    # Beside other programs no ratio is told, and why.
    assert "of the dense epoch" in printed or "no speedup can be told" in printed
    assert (tmp_path / "bench" / "report.html").is_file()
