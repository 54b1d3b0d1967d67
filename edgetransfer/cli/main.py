"""The application: its commands.

Of the modules of the commands only that one is imported whose command is called, and none for the
list of them, so that help pages come at once; all for completion and for what is no command.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from edgetransfer.cli.commands import HELP_OPTIONS, Command, Group
from edgetransfer.cli.terminal import never_fail_to_write
from edgetransfer.version import __version__

PROGRAM = "edgetransfer"
# The list of commands, in the help page's order, each with the first paragraph of its page.
COMMANDS = {
    "train": "Train a linear classifier of your own photos on a backbone's features.",
    "finetune": (
        "Train all non-zero weights of a sparse backbone on your own photos; the zeros stay zero."
    ),
    "stream": "Learn from images as they arrive, for weeks, and lose nothing.",
    "evaluate": "Test a trained run, or a backbone's own classifier, on labelled images.",
    "predict": "Say what photos show.",
    "search": "Find the photos of a data set that are most like given ones.",
    "audit": "Find labels that are probably wrong, photos that are there twice, and outliers.",
    "extract": "Write the features of photos as Parquet tables, on one machine or many.",
    "report": "Write a run's report.html anew, or set runs side by side.",
    "track": "Hand a run's metrics to TensorBoard, MLflow or Weights & Biases.",
    "serve": "Answer other programs, and a page in the browser, what photos show.",
    "teach": "Open a page in the browser where a classifier is taught, photo by photo.",
    "inspect": "Show a backbone's features, sparsity, dead channels, and what its zeros gain here.",
    "sparsify": "Make a dense backbone sparse in one shot, with unlabelled photos and no training.",
    "pretrain": "Train a sparse network on photos, from random weights or from a dense backbone.",
    "compact": "Cut away channels that cannot change the features: same outputs, smaller network.",
    "benchmark": (
        "Compare backbones with a dense one: seconds per epoch and accuracy, here, on your photos."
    ),
    "compare": "Find out which backbone transfers best to your data sets, and how sure that is.",
    "analyse": "Show how networks were trained, how alike they answer, and how they take pruning.",
    "tune": "Measure which engine, and how much of everything, is fastest for a backbone here.",
    "doctor": "Show versions, the processor, and which engine runs here and why.",
    "demo": (
        "Train on handwritten digits with a bundled sparse backbone, in under two minutes, offline."
    ),
    "export": "Write what a run learned as one ONNX file, or as a folder, to be given away.",
    "check": "Look whether all of a stream's run is whole, and change nothing.",
    "rollback": "Return a stream's run to an earlier moment; later samples may be sent again.",
    "forget": "Remove samples from a stream's memory for good, and fit the head to what stays.",
    "relabel": "Give samples of a stream another label, as if they had always had it.",
    "import": "Make an ONNX backbone, with a card, of a checkpoint or of another tool's ONNX file.",
    "backbones": "List the backbones that have a name, and bring one here.",
}
# The module of a command, and its function, where they are not called like it.
HOMES = {"rollback": "rewind", "forget": "rewind", "relabel": "rewind", "import": "import_:import_"}


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


class Root(Group):
    """The application: its help page lists all commands, imported or not."""

    @property
    def summaries(self) -> list[tuple[str, str]]:
        """Each command with what it does."""
        return list(COMMANDS.items())


@functools.cache
def application(names: tuple[str, ...] = tuple(COMMANDS)) -> typer.Typer:
    """The application with these commands."""
    made = typer.Typer(
        name=PROGRAM,
        cls=Root,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP_OPTIONS,
    )
    made.callback()(_root)
    for name in names:
        _add(made, name)
    return made


def _add(made: typer.Typer, name: str) -> None:
    from edgetransfer.cli.exit_codes import with_exit_codes
    from edgetransfer.cli.options import with_quiet
    from edgetransfer.cli.signature import as_options

    module, _, function = HOMES.get(name, name).partition(":")
    command = getattr(import_module(f"edgetransfer.cli.{module}"), function or name)
    if isinstance(command, typer.Typer):
        made.add_typer(command, name=name)
        return
    register = made.command(name, cls=Command, context_settings=HELP_OPTIONS)
    register(with_exit_codes(with_quiet(as_options(command)), name))


def __getattr__(name: str) -> Any:
    if name == "app":  # all of it
        return application()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, as in `with_exit_codes`."""
    never_fail_to_write()
    words = sys.argv[1:] if arguments is None else arguments
    completes = any(name.endswith("_COMPLETE") for name in os.environ)
    try:
        if words and words[0] in COMMANDS and not completes:
            # Typer would read the root's options first, and load pydantic for that.
            name, *rest = words
            root: Any = typer.main.get_command(application((name,)))
            root.commands[name].main(args=rest, prog_name=f"{PROGRAM} {name}")
        elif not completes and (not words or words[0].startswith("-")):
            application(())(args=words, prog_name=PROGRAM)
        else:
            application()(args=words, prog_name=PROGRAM)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
