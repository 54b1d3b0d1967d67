"""What is left out means the same on the command line and in Python, also beside settings."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from typer.main import get_command

import edgetransfer
from edgetransfer.cli.main import application
from tests.api.test_public import COMMANDS, OF_SETTINGS


@pytest.mark.parametrize("command", [c for c, f in COMMANDS.items() if f not in OF_SETTINGS])
def test_defaults_are_those_of_the_command(command: str) -> None:
    group: Any = get_command(application((command,)))
    typed = {option.name: said(option.default) for option in group.commands[command].params}
    parameters = inspect.signature(getattr(edgetransfer, COMMANDS[command])).parameters
    for name, parameter in parameters.items():
        if name in typed and parameter.default is not inspect.Parameter.empty:
            assert said(parameter.default) == typed[name], name


def said(default: object) -> str | None:
    """A default as text; nothing of several is nothing."""
    return None if default in ((), None) else str(default)
