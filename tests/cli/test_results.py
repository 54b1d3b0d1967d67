"""What a command finds out goes to stdout, what it says of its work to stderr."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetransfer.cli.main import main

# What each is called with, and a word of its result.
CALLS = {
    "train": ("--data {photos} --backbone {backbone} --out {out}/again --no-report", "saved in"),
    "evaluate": ("{run} {photos}", "top-1"),
    "predict": ("{run} {photo}", "%"),
    "search": ("{run} {photo}", "0."),
    "audit": ("{run}", "labels are probably wrong"),
    "report": ("{run}", "report.html"),
    "export": ("{run} --out {out}/export.onnx", "saved in"),
    "extract": ("--data {photos} --backbone {backbone} --out {out}/tables", "saved in"),
    "inspect": ("{backbone}", "sparsity"),
    "compact": ("{backbone} --out {out}/small.onnx", "channel"),
    "backbones": ("", "licence"),
    "doctor": ("", "engine"),
}


@pytest.fixture
def run(photos: Path, backbone: Path, tmp_path: Path) -> Path:
    out = tmp_path / "run"
    words = ["--data", str(photos), "--backbone", str(backbone), "--out", str(out)]
    assert main(["train", *words, "--no-report"]) == 0
    return out


@pytest.mark.parametrize("name", CALLS)
def test_results_are_on_stdout(
    name: str,
    run: Path,
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if name == "extract":
        pytest.importorskip("pyarrow")
    capsys.readouterr()
    photo = next(photos.rglob("*.png"), None) or next(photos.rglob("*.jpg"))
    words, result = CALLS[name]
    places = {"photos": photos, "backbone": backbone, "run": run, "photo": photo, "out": tmp_path}
    call = [name, *(word.format(**places) for word in words.split())]
    assert main(call) == 0
    out, err = capsys.readouterr()
    assert result in out
    assert not set(out.splitlines()) - {""} & set(err.splitlines())
    assert "saved in" not in err
