"""Only finetuning loads torch, and says how to get it where it is missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgetransfer.cli.main import main
from tests.conftest import needs_deepsparse

EVERY_COMMAND = """
import sys
from edgetransfer.cli.main import main
backbone, data, out, engine = sys.argv[1:]
photo = data + "/test/red/000.png"
for arguments in (
    ["train", "--backbone", backbone, "--data", data, "--out", out, "--engine", engine],
    ["evaluate", out, data + "/test", "--engine", engine],
    ["predict", out, photo, "--engine", engine],
    ["inspect", backbone],
    ["doctor"],
    ["stream", "--backbone", backbone, "--source", "folder:" + data + "/train", "--once",
     "--out", out + "-stream", "--engine", engine],
    ["export", out + "-stream", "--out", out + "-exported"],
    ["finetune", "--help"],
):
    assert main(arguments) == 0, arguments
assert not [name for name in sys.modules if name.partition(".")[0] == "torch"]
"""


def run_every_command(engine: str, backbone: Path, photos: Path, tmp_path: Path) -> None:
    arguments = [str(backbone), str(photos), str(tmp_path / "run"), engine]
    done = subprocess.run(
        [sys.executable, "-c", EVERY_COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "EDGETRANSFER_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_no_other_command_loads_torch(backbone: Path, photos: Path, tmp_path: Path) -> None:
    run_every_command("onnxruntime", backbone, photos, tmp_path)


@needs_deepsparse
@pytest.mark.slow
def test_nor_does_deepsparse(backbone: Path, photos: Path, tmp_path: Path) -> None:
    run_every_command("deepsparse", backbone, photos, tmp_path)


def test_importing_the_room_loads_no_torch() -> None:
    program = (
        "import edgetransfer, edgetransfer.finetune, edgetransfer.cli.finetune, sys\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_missing_torch_is_said_in_one_line(
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch" else found(name, *a)
    )
    arguments = ["--backbone", str(backbone), "--data", str(photos), "--out", str(tmp_path / "r")]
    assert main(["finetune", *arguments]) == 1
    assert capsys.readouterr().err == (
        "error: finetuning needs torch: pip install 'edgetransfer[finetune]'\n"
    )
    assert not (tmp_path / "r").exists()
