"""The application: its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from edgetransfer.cli.audit import audit
from edgetransfer.cli.backbones import backbones
from edgetransfer.cli.benchmark import benchmark
from edgetransfer.cli.check import check
from edgetransfer.cli.compact import compact
from edgetransfer.cli.demo import demo
from edgetransfer.cli.doctor import doctor
from edgetransfer.cli.evaluate import evaluate
from edgetransfer.cli.exit_codes import with_exit_codes
from edgetransfer.cli.export import export
from edgetransfer.cli.finetune import finetune
from edgetransfer.cli.import_ import import_
from edgetransfer.cli.inspect import inspect
from edgetransfer.cli.predict import predict
from edgetransfer.cli.report import report
from edgetransfer.cli.rewind import forget, rollback
from edgetransfer.cli.serve import serve
from edgetransfer.cli.sparsify import sparsify
from edgetransfer.cli.stream import stream
from edgetransfer.cli.teach import teach
from edgetransfer.cli.terminal import never_fail_to_write
from edgetransfer.cli.train import train
from edgetransfer.cli.tune import tune
from edgetransfer.version import __version__

app = typer.Typer(
    name="edgetransfer",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(train, finetune, stream, evaluate, predict, audit, report, serve, teach),
    *(inspect, sparsify, compact, benchmark, tune, doctor, demo),
    *(export, check, rollback, forget),
):
    app.command()(with_exit_codes(command))
app.command("import")(with_exit_codes(import_))
app.add_typer(backbones, name="backbones")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Adapt sparse image backbones to your own photos, on a laptop CPU."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, as in `with_exit_codes`."""
    never_fail_to_write()
    try:
        app(args=arguments)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
