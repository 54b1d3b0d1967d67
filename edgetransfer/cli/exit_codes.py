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


def with_exit_codes(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """A command that ends in 0 fine, 1 failed, 2 usage, 3 bad data, 4 engine, 130 interrupted."""

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except EdgeTransferError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            _fail(
                "interrupted; what was saved stays, and the same command goes on from it "
                "(train: with --resume)",
                INTERRUPTED,
            )
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
