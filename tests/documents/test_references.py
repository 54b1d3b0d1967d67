"""What is generated is what would be generated now."""

from __future__ import annotations

from tests.conftest import REPOSITORY
from tests.documents.programs import program

commands = program("commands")


def test_the_command_reference_is_current() -> None:
    written = (REPOSITORY / "docs" / "commands.md").read_text("utf-8")
    assert written == commands.document(), "run `make reference`"


def test_it_has_every_option_of_every_command() -> None:
    text = commands.document()
    for page in commands.pages():
        section = text.split(f"## edgetransfer {page.name}\n")[1].split("\n## ")[0]
        for parameter in page.command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert all(f"`{flag}`" in section for flag in parameter.opts), parameter.opts
            elif parameter.param_type_name == "argument":
                assert f"`{parameter.metavar}`" in section
