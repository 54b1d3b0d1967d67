"""A taken --out is one exit code, whatever is to be written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetransfer.cli.main import main
from tests.graphs_made import tiny
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]

FOLDERS = ("train", "finetune", "stream", "benchmark")
FILES = ("compact", "import", "sparsify")


def arguments(command: str, net: Path, photos: Path) -> list[str]:
    shared = ["--data", str(photos), "--engine", "onnxruntime", "--threads", "1"]
    match command:
        case "train" | "finetune":
            return [command, "--backbone", str(net), *shared]
        case "stream":
            return ["stream", "--source", f"folder:{photos}", "--backbone", str(net), "--once"]
        case "benchmark":
            return ["benchmark", "--baseline", str(net), "--data", str(photos)]
        case "sparsify":
            return ["sparsify", str(net), "--method", "magnitude", "--engine", "onnxruntime"]
    return [command, str(net)]


@pytest.mark.parametrize("what", ["a file", "another folder"])
@pytest.mark.parametrize("command", FOLDERS)
def test_run_folders(
    command: str,
    what: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if command == "finetune":
        pytest.importorskip("torch")
    (tmp_path / "net").mkdir()
    net = tiny(size=32, head="none").save(tmp_path / "net" / "net.onnx")
    out = tmp_path / "out"
    if what == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
    call = [*arguments(command, net, photos), "--out", str(out)]
    assert main(call) == 2
    assert "choose another --out" in capsys.readouterr().err
    kept = out if what == "a file" else out / "thesis.txt"
    assert kept.read_text() == "mine"
    assert what == "a file" or [path.name for path in out.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("what", ["a file", "a card", "a folder", "the file that is read"])
@pytest.mark.parametrize("command", FILES)
def test_files(
    command: str,
    what: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "net").mkdir()
    net = tiny(size=32).save(tmp_path / "net" / "net.onnx")
    before = net.read_bytes()
    out = net if what == "the file that is read" else tmp_path / "out.onnx"
    if what == "a folder":
        out.mkdir()
    elif what != "the file that is read":
        (out if what == "a file" else out.with_suffix(".toml")).write_text("mine")
    assert main([*arguments(command, net, photos), "--out", str(out)]) == 2
    assert str(out.with_suffix("")) in capsys.readouterr().err
    assert net.read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))
