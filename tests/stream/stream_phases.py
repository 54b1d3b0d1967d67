"""Kills a process at a chosen moment of a chosen phase, told by what it is in the midst of.

Moments of a phase are the lines of the package that it executes, in any thread, and its calls that
change the disk; a call that writes is also cut off halfway. They are counted in a first run.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import edgetransfer
from edgetransfer.stream import learner as online_learner
from edgetransfer.stream.asked import AskedChanges
from edgetransfer.stream.keeping import derived, durable, id_file, journal
from edgetransfer.stream.keeping.checkpoints import CheckpointFolder
from edgetransfer.stream.keeping.corrections import Corrections
from edgetransfer.stream.learning import refit
from edgetransfer.stream.learning.newest_head import NewestHead
from edgetransfer.stream.learning.solved_heads import SolvedHeads
from tests.stream.stream_faults import before_each_change, real_pwrite, real_write

PACKAGE = str(Path(edgetransfer.__file__).parent) + os.sep

# What is called in each phase of a stream; the innermost one counts.
INNER: dict[str, tuple[tuple[Any, str], ...]] = {
    "start": ((online_learner.OnlineLearner, "__init__"),),
    "learning": ((durable.DurableLearner, "accept"),),
    "refit": (
        (refit.BackgroundRefit, "start"),
        (refit.BackgroundRefit, "decide"),
        (refit, "fit"),
    ),
    "solve": ((NewestHead, "_made"), (SolvedHeads, "_choose_anew")),
    "relabel": ((Corrections, "relabel"),),
    "live forget": ((Corrections, "forget"),),
    "asked": ((AskedChanges, "do"),),
    "checkpoint": (
        (durable.DurableLearner, "standing"),
        (id_file.IdFile, "save"),
        (CheckpointFolder, "save"),
        (CheckpointFolder, "prune"),
    ),
    "rotation": ((journal.Journal, "rotate"), (journal.Journal, "_begin")),
    "head": ((derived.DerivedFiles, "save"),),
}


class Moments:
    """Counts the moments of each phase, and kills the process at one of them.

    Parameters
    ----------
    phase, at
        Where the process dies: at this moment of this phase, from 1; never for 0.
    report
        Where `write` leaves how many moments each phase had, and which were changes of the disk.
    """

    def __init__(self, phase: str, at: int, report: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.changes: dict[str, list[int]] = {}
        self._phase, self._at, self._report = phase, at, report
        self._inside = threading.local()
        before_each_change(self._change)
        for name, places in INNER.items():
            for owner, method in places:
                setattr(owner, method, self._wrapped(name, getattr(owner, method)))

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """What runs here is of this phase."""
        stack = self._inside.__dict__.setdefault("phases", [])
        stack.append(name)
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)
            stack.pop()

    def write(self) -> None:
        """Leave the report, as JSON: of each phase the moments, and the numbers of the changes."""
        handle = os.open(self._report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        real_write(
            handle,
            json.dumps(
                {name: [count, self.changes.get(name, [])] for name, count in self.counts.items()}
            ).encode(),
        )
        os.close(handle)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.during(name):
                return real(*args, **kwargs)

        return call

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and self._due():
            os.kill(os.getpid(), signal.SIGKILL)
        return self._trace

    def _change(self, name: str, args: tuple[Any, ...]) -> None:
        if self._due(changes=True):
            os.kill(os.getpid(), signal.SIGKILL)
        if name in ("write", "pwrite") and self._due(changes=True):
            half = bytes(args[1])[: len(args[1]) // 2]
            real_pwrite(*(args[0], half, args[2])) if name == "pwrite" else real_write(
                args[0], half
            )
            os.kill(os.getpid(), signal.SIGKILL)

    def _due(self, *, changes: bool = False) -> bool:
        stack = self._inside.__dict__.get("phases")
        if not stack:
            return False
        self.counts[stack[-1]] += 1
        if changes:
            self.changes.setdefault(stack[-1], []).append(self.counts[stack[-1]])
        return stack[-1] == self._phase and self.counts[stack[-1]] == self._at
