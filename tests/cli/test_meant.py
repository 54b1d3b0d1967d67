"""Options by the names that other tools give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from edgetransfer.cli.exit_codes import with_exit_codes
from edgetransfer.cli.main import app, main
from edgetransfer.cli.meant import ELSEWHERE
from tests.photos import backbone, photos

__all__ = ["backbone", "photos"]

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def flags(command: str) -> set[str]:
    return {flag for parameter in COMMANDS[command].params for flag in parameter.opts}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_each_name_stands_for_an_option_that_there_is(name: str) -> None:
    having = [command for command in COMMANDS if ELSEWHERE[name] in flags(command)]
    assert having
    assert any(name not in flags(command) for command in having)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("train --lr 0.1", "--learning-rate"),
        ("train --model net.onnx", "--backbone"),
        ("train --batch_size 3", "--batch-size"),
        ("train --tset-data photos", "--test-data"),
        ("finetune --dataset photos", "--data"),
        ("train photos", "--data photos"),
        ("train photos run", "--data photos --out run"),
        ("finetune -o run photos", "--data photos"),
        ("benchmark photos", "--data photos"),
    ],
)
def test_it_is_answered_by_what_was_meant(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.split()) == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize("solver", ["auto", "ridge", "lbfgs"])
def test_epochs_belong_to_sgd(solver: str, capsys: pytest.CaptureFixture[str]) -> None:
    typed = f"train --data x --out y --solver {solver} --epochs 3"
    assert main(typed.split()) == 2
    assert "--solver sgd" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["predict photo.jpg run", "evaluate photos run"])
def test_swapped_arguments_are_answered_by_their_order(
    typed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"")
    (tmp_path / "photos").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("")
    assert main(typed.split()) == 2
    command, first, run = typed.split()
    assert f"the run comes first: edgetransfer {command} {run} {first}" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "backbones"])
def test_every_command_can_be_quiet_and_says_what_an_interruption_leaves(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"--quiet", "-q"} <= flags(name)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as left:
        with_exit_codes(interrupted, name)()
    assert left.value.exit_code == 130
    said = capsys.readouterr().err
    assert said.startswith("error: interrupted; ")
    assert ("--resume" in said) == ("--resume" in flags(name))


def test_quiet_is_quiet(
    tmp_path: Path, photos: Path, backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "-d", str(photos), "-o", str(tmp_path / "run"), "--backbone", str(backbone)]
    assert main([*words, "--no-report"]) == 0
    loud = capsys.readouterr().err
    assert "train: 60 photos" in loud
    assert main([*words, "--no-report", "--overwrite", "-q"]) == 0
    quiet = capsys.readouterr()
    assert "train: 60 photos" not in quiet.err
    assert "saved in" in quiet.out
