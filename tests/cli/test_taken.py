"""A taken place is one exit code, whatever is to be written there, and a mend that can be typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from edgetransfer.cli.main import application, main
from tests.graphs_made import tiny
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]

FOLDERS = ("train", "finetune", "stream", "teach", "benchmark", "compare", "extract")
FILES = ("compact", "import", "sparsify")


def arguments(command: str, net: Path, photos: Path) -> list[str]:
    shared = ["--data", str(photos), "--engine", "onnxruntime", "--threads", "1"]
    match command:
        case "train" | "finetune":
            return [command, "--backbone", str(net), *shared]
        case "stream":
            return ["stream", "--source", f"folder:{photos}", "--backbone", str(net), "--once"]
        case "teach":
            return ["teach", "--backbone", str(net), "--engine", "onnxruntime", "--port", "0"]
        case "benchmark" | "compare":
            sparse = ["--backbone", "tinyresnet-90"] if command == "compare" else []
            return [command, "--baseline", str(net), *sparse, "--data", str(photos)]
        case "extract":
            return ["extract", "--backbone", str(net), "--data", str(photos)]
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
    place = [str(out)] if command == "teach" else ["--out", str(out)]
    assert main([*arguments(command, net, photos), *place]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "choose another" in said
    (known,) = get_command(application((command,))).commands.values()  # type: ignore[attr-defined]
    flags = {flag for option in known.params for flag in option.opts}
    assert set(re.findall(r"(?<!\w)--[a-z][a-z-]+", said)) <= flags
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
