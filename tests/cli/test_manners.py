"""Every command, given what it cannot use: an exit code and a sentence, never a traceback."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import typer

from edgetransfer.cli.main import COMMANDS, HOMES, app, main
from tests.graphs_made import tiny

ROOT: Any = typer.main.get_command(app)
NAMES = [name for name in COMMANDS if name != "backbones"]

# What each takes: a path that is looked at, written {}, and what else the call needs.
CALLS = {
    "train": "--data {} --backbone net.onnx --out out",
    "finetune": "--data {} --backbone net.onnx --out out",
    "extract": "--data {} --backbone net.onnx --out out",
    "stream": "--source folder:{} --once --backbone net.onnx --out out",
    "evaluate": "{} photos",
    "predict": "{} photo.jpg",
    "search": "{} photo.jpg",
    "track": "{} --to tensorboard",
    "audit": "{} --backbone net.onnx",
    "report": "{}",
    "serve": "{} --port 0",
    "teach": "{} --backbone net.onnx --port 0",
    "inspect": "{}",
    "pretrain": "--data {} --out out.onnx",
    "sparsify": "{} --method magnitude --out out.onnx",
    "compact": "{} --out out.onnx",
    "benchmark": "--baseline {} --data photos --out out",
    "compare": "--data {} --baseline net.onnx --backbone tinyresnet-90 --out out",
    "analyse": "{}",
    "tune": "{}",
    "export": "{} --out out.onnx",
    "check": "{}",
    "rollback": "{} --to 0",
    "forget": "{} --class red",
    "relabel": "{} --to red --id a",
    "import": "{} --out out.onnx",
}
TAKES_FOLDERS = {"train", "extract", "pretrain", "finetune", "stream", "evaluate", "predict"}
TAKES_FOLDERS |= {
    "audit",
    "report",
    "compare",
    "search",
    "track",
    "serve",
    "export",
    "check",
    "rollback",
    "forget",
    "relabel",
}
PATHLESS = {"doctor", "demo"}
NOT_HERE = {"teach"}  # makes its run where there is none


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGETRANSFER_CACHE", str(tmp_path / "cache"))
    tiny(size=32).save(tmp_path / "net.onnx")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"no picture")
    return tmp_path


def test_every_command_is_here() -> None:
    assert set(CALLS) | PATHLESS == set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CALLS if name not in NOT_HERE])
@pytest.mark.parametrize("what", ["missing", "the other kind", "empty", "a link to itself"])
def test_a_path_that_is_no_use_is_named(
    name: str, what: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made, either: a person mends the call and makes it again."""
    bad = place / "no such thing"
    if what == "a link to itself":
        bad.symlink_to(bad)
    elif what == "empty":
        bad.mkdir() if name in TAKES_FOLDERS else bad.write_bytes(b"")
    elif what == "the other kind":
        bad.write_text("words") if name in TAKES_FOLDERS else bad.mkdir()
    words = [word.replace("{}", str(bad)) for word in CALLS[name].split()]
    if name in ("finetune", "pretrain"):
        pytest.importorskip("torch")
    code = main([name, *words])
    said = capsys.readouterr().err
    if (name, what) == ("stream", "empty"):  # nothing has arrived yet
        assert code == 0
        return
    assert code in (1, 2, 3), said
    assert bad.name in said
    assert "error: " in said
    assert "Traceback" not in said
    assert not (place / "out.onnx").exists()


@pytest.mark.parametrize("name", NAMES)
def test_an_option_with_a_letter_too_few_is_told_the_right_one(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = max((flag for p in ROOT.commands[name].params for flag in p.opts), key=len)
    assert main([name, longest[:-2] + longest[-1]]) == 2
    assert longest in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in NAMES if name != "doctor"])  # it logs nothing
def test_an_interruption_is_a_sentence_and_a_code(
    name: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = HOMES.get(name, name).partition(":")[0]
    module = importlib.import_module(f"edgetransfer.cli.{home}")
    if not hasattr(module, "show_log"):  # servers share what logs
        module = importlib.import_module("edgetransfer.cli.serving")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "show_log", interrupted)
    words = CALLS.get(name, "").replace("{}", str(place / "photos")).split()
    assert main([name, *words]) == 130
    said = capsys.readouterr().err
    assert said.startswith("error: interrupted")
    assert "Traceback" not in said
