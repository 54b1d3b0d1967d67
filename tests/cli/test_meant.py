"""Options by the names that other tools give them."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from edgetransfer.cli.main import app, main
from edgetransfer.cli.meant import ELSEWHERE

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
