"""Processes that make tables side by side: starting them, listening to them, and their ends."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from edgetransfer.closing import Closing
from edgetransfer.errors import EdgeTransferError
from edgetransfer.extract.messages import expect_greeting, greet
from edgetransfer.extract.part import PartTask
from edgetransfer.features.worker import FeatureWorker

COMMAND = (sys.executable, "-m", "edgetransfer.extract.member")
MEND = "tables that were made stay, and the same call goes on; --processes 1 takes least memory"

Message = tuple[str, str, Any]
"""What kind it is, of which table, and the value; kinds as of `edgetransfer.extract.messages`."""


def shares_of(threads: int, processes: int) -> list[int]:
    """How many threads each process has; one at least."""
    each, more = divmod(threads, processes)
    return [max(each + (i < more), 1) for i in range(processes)]


class Pool(Closing):
    """Processes with a thread of this one for each, that hands it the next task and listens.

    Closed, all of them are killed: a table is there whole or not at all.

    Parameters
    ----------
    tasks
        What is to be done.
    workers
        What extracts features, of each process.
    """

    def __init__(self, tasks: Sequence[PartTask], workers: Sequence[FeatureWorker]) -> None:
        self._left = deque(tasks)
        self._n_tasks = len(tasks)
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._open = ExitStack()
        with ExitStack() as undone:
            undone.callback(self.close)
            for worker in workers:
                self._start(worker)
            undone.pop_all()

    def _start(self, worker: FeatureWorker) -> None:
        said = tempfile.TemporaryFile()  # noqa: SIM115
        self._open.callback(said.close)
        child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            # Where numpy multiplies, it would take all cores in each process.
            env={**os.environ, "OMP_NUM_THREADS": str(worker.threads)},
        )
        # The last is called first: whoever listens finds the pipe's end, and comes to his own.
        self._open.callback(_close_pipes, child)
        listening = Thread(target=self._drive, args=(child, said, worker), daemon=True)
        self._open.callback(lambda: listening.join() if listening.ident else None)
        self._open.callback(child.wait)
        self._open.callback(child.kill)
        listening.start()

    def close(self) -> None:
        """Kill the processes."""
        self._left.clear()
        self._open.close()

    def messages(self) -> Iterator[Message]:
        """What the processes say, until every task is made or one has failed."""
        made = 0
        while made < self._n_tasks:
            kind, name, value = self._messages.get()
            if kind == "failed":
                raise value
            made += kind == "made"
            yield kind, name, value

    def _drive(
        self, child: subprocess.Popen[bytes], said: IO[bytes], worker: FeatureWorker
    ) -> None:
        """Give one process task after task; whatever happens, a message tells of it."""
        assert child.stdin is not None
        assert child.stdout is not None
        name = "the first table"
        try:
            greet(child.stdin)
            expect_greeting(child.stdout)
            while True:
                try:
                    task = self._left.popleft()
                except IndexError:
                    return
                name = task.part.name
                pickle.dump(replace(task, worker=worker), child.stdin)
                child.stdin.flush()
                kind = ""
                while kind not in ("made", "failed"):
                    kind, value = pickle.load(child.stdout)
                    self._messages.put((kind, name, value))
                if kind == "failed":
                    return
        except (EOFError, OSError, pickle.UnpicklingError):
            cause = _cause(child.wait(), said)
            error = EdgeTransferError(f"{name}: the process that made it {cause}; {MEND}")
            self._messages.put(("failed", name, error))
        except BaseException as error:
            self._messages.put(("failed", name, error))


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):  # what was not yet sent finds nobody
        child.stdin.close()
    child.stdout.close()


def _cause(code: int, said: IO[bytes]) -> str:
    """How a process ended that should not have."""
    if code == -9:
        return "was killed, perhaps for want of memory"
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    last = f" ({lines[-1].strip()[:300]})" if lines else ""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}{last}"
    return f"ended with exit code {code}{last}"


def log_again(value: tuple[str, int, str]) -> None:
    """Log here what a process had to say."""
    name, level, text = value
    logging.getLogger(name).log(level, "%s", text)
