"""What becomes of errors: one line on stderr, and an exit code."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from edgetransfer.errors import EdgeTransferError
from edgetransfer.names import readable

INTERRUPTED = 130

Parameters = ParamSpec("Parameters")


# What an interrupted command leaves, and how to go on.
LEFT = {
    "train": "features and checkpoints so far are saved: the same command with --resume goes on",
    "finetune": "the last checkpoint is saved: the same command with --resume goes on",
    "pretrain": "the last checkpoint is saved: the same command with --resume goes on",
    "sparsify": "the layers that are done are saved: the same command with --resume goes on",
    "stream": "all that was acknowledged is saved: the same command goes on",
    "teach": "every photo that was taken in is saved: the same command goes on",
    "benchmark": "the measurements that were done are saved: the same command goes on",
    "extract": "tables that were made are kept: the same command goes on",
    "serve": "nothing was changed: the same command serves again",
    "rollback": "the run is as it was, or what was begun is finished when it is next opened",
    "forget": "the run is as it was, or what was begun is finished when it is next opened",
    "predict": "what was printed holds; the same command begins anew",
    "tune": "nothing was kept; the same command measures anew",
}
NOTHING = "nothing was written that is not whole; the same command begins anew"


def with_exit_codes(
    command: Callable[Parameters, None], name: str = ""
) -> Callable[Parameters, None]:
    """A command that ends in 0 fine, 1 failed, 2 usage, 3 bad data, 4 engine, 130 interrupted."""

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except EdgeTransferError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            _fail(f"interrupted; {LEFT.get(name, NOTHING)}", INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has gone: say nothing more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            _fail(_in_words(error), 1)
        except MemoryError:
            _fail("not enough memory; try a smaller --batch-size", 1)

    return run


def _in_words(error: OSError) -> str:
    """What the system refused, with the file and what mends it."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
        return f"{where}{what}; what was saved stays whole: make room, then go on"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{where}{error.strerror}; change who may read and write there, or choose another place"
        )
    return f"{where}{error.strerror or error}"


def _fail(message: str, code: int) -> None:
    print(readable(f"error: {message}"), file=sys.stderr)
    raise typer.Exit(code)
