"""One of the processes that make tables side by side.

    python -m edgetransfer.extract.member < TASKS

Tasks come on standard input, one after the other, until it ends; what becomes of them goes to
standard output, in the form of `edgetransfer.extract.messages`. `edgetransfer.extract.pool` is the
other side, and nobody else writes to either pipe. A process of its own, and not one of
`multiprocessing`, needs no main module that can be imported: a notebook, or a script without a
guard, may call `extract`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import sys
from threading import Lock
from typing import Any, BinaryIO

from edgetransfer.errors import EdgeTransferError
from edgetransfer.extract.messages import expect_greeting, greet
from edgetransfer.extract.part import PartTask, with_what_is_open


class Answers:
    """Sends messages, each in one piece: threads that decode have something to say, too."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = Lock()

    def send(self, kind: str, value: Any) -> None:
        """Send a message; `BrokenPipeError` if nobody is there to read it."""
        message = pickle.dumps((kind, value))
        with self._lock:
            self._pipe.write(message)
            self._pipe.flush()


class _Log(logging.Handler):
    """Hands the package's log to the process that shows it."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(
            OSError
        ):  # who has gone is missed at the next photos, not in a log
            self._answers.send("said", (record.name, record.levelno, record.getMessage()))


def serve(tasks: BinaryIO, answers: Answers) -> None:
    """Make tables until there are no more tasks, or one fails."""
    try:
        expect_greeting(tasks)
    except EOFError:
        return
    while True:
        try:
            task: PartTask = with_what_is_open(pickle.load(tasks))
        except EOFError:
            return
        try:
            task.run(lambda _stage, done, _total: answers.send("done", done))
        except BrokenPipeError:
            return  # whoever asked has gone
        except (EdgeTransferError, OSError, MemoryError) as error:
            answers.send("failed", error)
            return
        answers.send("made", task.part.name)


def main() -> None:
    """Answer on what was standard output; what libraries print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends its own
    with os.fdopen(os.dup(1), "wb") as pipe:
        os.dup2(2, 1)
        greet(pipe)
        answers = Answers(pipe)
        log = logging.getLogger("edgetransfer")
        log.addHandler(_Log(answers))
        log.setLevel(logging.WARNING)  # what else there is to say was said
        log.propagate = False
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
