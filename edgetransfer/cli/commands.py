"""What Typer makes of a command: its help page in plain text, and answers to what was meant."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand, TyperGroup

from edgetransfer.cli.help_page import command_page
from edgetransfer.cli.meant import propose, propose_flags

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class Command(TyperCommand):
    """A command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in Typer; what an error proposes is what other tools' names stand for."""
        typed = list(args)  # parsing consumes them
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            propose(error, {flag for parameter in self.params for flag in parameter.opts})
            if hasattr(error, "param") and not getattr(error, "message", None):
                _, loose, _ = self.make_parser(ctx).parse_args(typed)
                propose_flags(error, self.params, loose)
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(command_page(self, ctx))


class Group(TyperGroup):
    """Commands under one name."""

    @property
    def summaries(self) -> list[tuple[str, str]]:
        """Each command with what it does: the first paragraph of its help page."""
        return [
            (name, " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split()))
            for name, command in self.commands.items()
        ]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(command_page(self, ctx))
