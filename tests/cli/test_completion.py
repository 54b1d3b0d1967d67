"""What a shell completes, through the very scripts that it is given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgetransfer.cli.completing import backbones, completion_of, engines, runs
from edgetransfer.settings.shared import ENGINES

AS_INSTALLED = (
    "import sys; sys.argv[0] = 'edgetransfer'; from edgetransfer.cli.main import main; "
    "sys.exit(main())"
)
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("pets", "plants/first", "plants/second", "photos/cat", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    for run in ("pets", "plants/first", "plants/second"):
        (tmp_path / run / "config.toml").write_text("")
    (tmp_path / "pets.onnx").write_bytes(b"")
    (tmp_path / "photo.jpg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def completed(shell: str, words: str) -> list[str]:
    """What the completion of a shell is told, by the protocol of its script."""
    typed = words.split(" ")
    environment = {
        **os.environ,
        "_EDGETRANSFER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(typed) if shell == "bash" else words,
        "COMP_CWORD": str(len(typed) - 1),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    return asked(environment).split()


def asked(environment: dict[str, str]) -> str:
    """What the command writes to a shell; its name decides which variable it reads."""
    said = subprocess.run(
        [sys.executable, "-c", AS_INSTALLED], env=environment, capture_output=True, text=True
    )
    return said.stdout


def test_run_folders_and_the_ways_to_them(place: Path) -> None:
    assert runs("") == ["pets", "pets.onnx", "photos/", "plants/"]
    assert runs("plants/") == ["plants/first", "plants/second"]
    assert runs("pl") == ["plants/"]
    assert runs(f"{place}/plants/s") == [f"{place}/plants/second"]
    assert runs("nowhere/") == []


def test_backbones_by_name_and_file(place: Path) -> None:
    assert backbones("tiny") == ["tinyresnet-90"]
    assert "pets.onnx" in backbones("p")


def test_engines_one_after_the_other() -> None:
    assert engines("") == list(ENGINES)
    assert engines("sparse,on") == ["sparse,onnxruntime"]
    assert "sparse,sparse" not in engines("sparse,")


def test_what_a_value_is_called_decides() -> None:
    assert completion_of("RUN…") is runs
    assert completion_of("RUN|EXPORT") is runs
    assert completion_of("FILE|NAME") is backbones
    assert completion_of("ENGINE,…") is engines
    assert completion_of("N") is completion_of(None) is None


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("edgetransfer train --engine o", {"openvino", "openvino-bf16", "onnxruntime"}),
        ("edgetransfer train --solver r", {"ridge"}),
        ("edgetransfer train --backbone tiny", {"tinyresnet-90"}),
        ("edgetransfer predict plants/", {"plants/first", "plants/second"}),
        ("edgetransfer check pe", {"pets", "pets.onnx"}),
    ],
)
def test_each_shell_is_told_the_values(
    place: Path, shell: str, words: str, expected: set[str]
) -> None:
    said = " ".join(completed(shell, words))
    assert all(value in said for value in expected)
    assert "photo.jpg" not in said


@pytest.mark.slow
def test_bash_itself_completes(place: Path) -> None:
    """The script, sourced by bash, with the command on its path."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    (place / "bin").mkdir()
    command = place / "bin" / "edgetransfer"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{AS_INSTALLED}" "$@"\n')
    command.chmod(0o755)
    script = """
    eval "$(_EDGETRANSFER_COMPLETE=source_bash edgetransfer)"
    COMP_WORDS=(edgetransfer train --engine spa); COMP_CWORD=3
    "$(complete -p edgetransfer | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" edgetransfer
    echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    said = subprocess.run(
        [bash, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["sparse"], said.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str) -> None:
    environment = {**os.environ, "_EDGETRANSFER_COMPLETE": f"source_{shell}"}
    assert "_EDGETRANSFER_COMPLETE" in asked(environment)
