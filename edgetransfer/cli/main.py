"""The application: its commands.

Of the modules of the commands only that one is imported whose command is called, so that its help
page comes at once; all of them for the list, for completion and for what is no command.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from edgetransfer.cli.exit_codes import with_exit_codes
from edgetransfer.cli.meant import Command
from edgetransfer.cli.signature import as_options
from edgetransfer.cli.terminal import never_fail_to_write
from edgetransfer.version import __version__

# Each command with its module and, where that is called otherwise, its function: in the help
# page's order.
COMMANDS = {
    **{name: name for name in ("train", "finetune", "stream", "evaluate", "predict", "audit")},
    **{name: name for name in ("report", "serve", "teach", "inspect", "sparsify", "compact")},
    **{name: name for name in ("benchmark", "tune", "doctor", "demo", "export", "check")},
    "rollback": "rewind",
    "forget": "rewind",
    "relabel": "rewind",
    "import": "import_:import_",
    "backbones": "backbones",
}


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Adapt sparse image backbones to your own photos, on a laptop CPU."""


@functools.cache
def application(*names: str) -> typer.Typer:
    """The application with these commands; with all of them if none is named."""
    made = typer.Typer(
        name="edgetransfer",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_root)
    for name in names or COMMANDS:
        module, _, function = COMMANDS[name].partition(":")
        command = getattr(import_module(f"edgetransfer.cli.{module}"), function or name)
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command(name, cls=Command)(with_exit_codes(as_options(command)))
    return made


def __getattr__(name: str) -> Any:
    if name == "app":  # all of it
        return application()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, as in `with_exit_codes`."""
    never_fail_to_write()
    words = sys.argv[1:] if arguments is None else arguments
    completes = any(name.endswith("_COMPLETE") for name in os.environ)
    called = words[:1] if words and words[0] in COMMANDS and not completes else []
    try:
        application(*called)(args=arguments)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
