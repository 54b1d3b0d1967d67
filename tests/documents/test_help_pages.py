"""Every help page, as the application lists them, keeps its examples in one form."""

from __future__ import annotations

import pytest

from edgetransfer.cli.main import main
from tests.documents.programs import program

commands = program("commands")
PAGES = list(commands.pages())
WIDEST = 76  # of 80, less a terminal's margins: what is wrapped cannot be copied
# A group's options end where its command begins.
GROUPS = frozenset(page.name for page in PAGES if hasattr(page.command, "commands"))


def test_the_list_has_nested_commands_too() -> None:
    names = [page.name for page in PAGES]
    assert {"train", "import", "backbones", "backbones get", "rollback"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_calls_of_the_command(page) -> None:  # type: ignore[no-untyped-def]
    assert page.text, "a help page says what the command does"
    assert page.examples, f"write them behind a line {commands.EXAMPLES!r}, a blank one between"
    calls = [commands.arguments_of(example) for example in page.examples]
    assert any(call[: len(page.name.split())] == page.name.split() for call in calls)
    for example in page.examples:
        first, *rest = example.split("\n")
        assert "edgetransfer " in first
        assert all(line.startswith("    ") for line in rest)
        assert all(line.endswith(" \\") for line in (first, *rest)[:-1])
        assert max(map(len, (first, *rest))) <= WIDEST


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_have_options_that_there_are(page) -> None:  # type: ignore[no-untyped-def]
    """Typer reads each example, without running it; an unknown option or choice raises."""
    by_name = {other.name: other for other in PAGES}
    for example in page.examples:
        words = commands.arguments_of(example)
        name = max(
            (n for n in by_name if words[: len(n.split())] == n.split()),
            key=lambda n: len(n.split()),
        )
        left = words[len(name.split()) :]
        with by_name[name].command.make_context(name, left) as context:
            assert context.params or name in GROUPS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_terminal_shows_examples_as_they_are_typed(page, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*page.name.split(), "--help"]) == 0
    shown = {line.strip() for line in capsys.readouterr().out.splitlines()}
    for line in "\n".join(page.examples).split("\n"):
        assert not line or line.strip() in shown
