"""The application: whole, or with the one command that is called."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
import typer

from edgetransfer.cli.main import COMMANDS, app, application, main


def test_a_command_alone_is_what_it_is_among_the_others() -> None:
    whole = typer.main.get_command(app)
    assert list(whole.commands) == list(COMMANDS)  # type: ignore[attr-defined]
    for name in COMMANDS:
        alone = typer.main.get_command(application((name,)))
        assert list(alone.commands) == [name]  # type: ignore[attr-defined]
        mine, among = alone.commands[name], whole.commands[name]  # type: ignore[attr-defined]
        assert [p.opts for p in mine.params] == [p.opts for p in among.params]
        assert mine.help == among.help


def test_only_the_module_of_the_called_command_is_imported() -> None:
    program = (
        "import sys; from edgetransfer.cli.main import COMMANDS, HOMES, main\n"
        "main(['doctor', '--help'])\n"
        "homes = {f'edgetransfer.cli.{HOMES.get(n, n).split(\":\")[0]}' for n in COMMANDS}\n"
        "print(sorted(homes & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "['edgetransfer.cli.doctor']", done.stderr


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("inspekt", "inspect")])
def test_what_is_no_command_is_told_the_nearest(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed, "--json"]) == 2
    assert f"Did you mean '{meant}'" in capsys.readouterr().err


def test_options_of_the_program_itself_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version", "train"]) == 0
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize(
    ("line", "offered"),
    [("train --solver ", ["auto", "ridge", "lda", "lbfgs", "sgd"]), ("finet", ["finetune"])],
)
def test_a_shell_completes_commands_and_choices(
    line: str,
    offered: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = f"edgetransfer {line}"
    monkeypatch.setenv("_EDGETRANSFER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit) as left:
        app(prog_name="edgetransfer")
    assert left.value.code == 0
    assert capsys.readouterr().out.split() == offered


def test_the_list_says_of_each_command_what_its_page_says() -> None:
    whole: Any = typer.main.get_command(app)
    for name, summary in COMMANDS.items():
        first = inspect.cleandoc(whole.commands[name].help).partition("\n\n")[0]
        assert summary == " ".join(first.split()), name


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("--no-such",)])
def test_the_list_of_commands_imports_none_of_them(words: tuple[str, ...]) -> None:
    """Nor rich, nor pydantic, which Typer would load for its own pages and to read options."""
    program = (
        "import sys; from edgetransfer.cli.main import COMMANDS, HOMES, main\n"
        f"main({list(words)!r})\n"
        "homes = {f'edgetransfer.cli.{HOMES.get(n, n).split(\":\")[0]}' for n in COMMANDS}\n"
        "print(sorted((homes | {'rich', 'numpy', 'edgetransfer.settings'}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_page_loads_neither_rich_nor_pydantic(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page fits its terminal, whatever the width, and names every option there is."""
    root: Any = typer.main.get_command(application((name,)))
    command = root.commands[name]
    for heavy in ("rich", "rich.console", "pydantic"):
        monkeypatch.setitem(sys.modules, heavy, None)  # importing it raises
    for columns in (40, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main([name, "-h"]) == 0
        shown = capsys.readouterr().out
        flags = {flag for p in command.params for flag in p.opts if p.param_type_name == "option"}
        assert all(flag in shown or flag.replace("--", "--[no-]") in shown for flag in flags)
        beside = command.help.partition("Examples:")[2]
        for line in shown.splitlines():
            fits = len(line) <= max(columns, 50) or " " not in line.strip()
            assert fits or line.strip() in beside or line.lstrip().startswith(("-", "Usage")), line
