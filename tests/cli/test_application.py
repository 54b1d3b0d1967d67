"""The application: whole, or with the one command that is called."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from edgetransfer.cli.main import COMMANDS, app, application, main


def test_a_command_alone_is_what_it_is_among_the_others() -> None:
    whole = typer.main.get_command(app)
    assert list(whole.commands) == list(COMMANDS)  # type: ignore[attr-defined]
    for name in COMMANDS:
        alone = typer.main.get_command(application(name))
        assert list(alone.commands) == [name]  # type: ignore[attr-defined]
        mine, among = alone.commands[name], whole.commands[name]  # type: ignore[attr-defined]
        assert [p.opts for p in mine.params] == [p.opts for p in among.params]
        assert mine.help == among.help


def test_only_the_module_of_the_called_command_is_imported() -> None:
    program = (
        "import sys; from edgetransfer.cli.main import COMMANDS, main\n"
        "main(['doctor', '--help'])\n"
        "homes = {'edgetransfer.cli.' + home.split(':')[0] for home in COMMANDS.values()}\n"
        "print(sorted(homes & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "['edgetransfer.cli.doctor']", done.stderr


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("inspekt", "inspect")])
def test_what_is_no_command_is_told_the_nearest(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed, "--json"]) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


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
