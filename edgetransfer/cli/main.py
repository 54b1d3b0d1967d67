"""The application: its commands, and what becomes of errors."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import click
import typer

from edgetransfer import __version__
from edgetransfer.cli.demo import demo
from edgetransfer.cli.doctor import doctor
from edgetransfer.cli.evaluate import evaluate
from edgetransfer.cli.inspect import inspect
from edgetransfer.cli.predict import predict
from edgetransfer.cli.rewind import export, forget, rollback
from edgetransfer.cli.stream import stream
from edgetransfer.cli.train import train
from edgetransfer.errors import EdgeTransferError

INTERRUPTED = 130

app = typer.Typer(
    name="edgetransfer",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(train, stream, evaluate, predict, inspect, doctor, demo),
    *(export, rollback, forget),
):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Adapt sparse image backbones to your own photos, on a laptop CPU."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 fine, 1 failed, 2 usage, 3 bad data, 4 engine, 130 interrupted.
    """
    try:
        result = app(args=arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except EdgeTransferError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        hint = "what is in the run folder stays; --resume goes on from it"
        return _fail(f"interrupted; {hint}", INTERRUPTED)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone: say nothing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(
                "the disk is full; what was saved before stays whole. Make room, then --resume", 1
            )
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except MemoryError:
        return _fail("not enough memory; try a smaller --batch-size", 1)


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
