"""Tables made on this machine, in as many processes as pay."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence

from edgetransfer.extract.part import PartTask
from edgetransfer.extract.paying import Watch, paying
from edgetransfer.extract.pool import Pool, log_again, shares_of
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)


class _Bar:
    """One bar for all tables, by photos, whoever makes them."""

    def __init__(self, tasks: Sequence[PartTask], progress: Progress) -> None:
        self._total = sum(len(task.part.samples) for task in tasks)
        self._sizes = {task.part.name: len(task.part.samples) for task in tasks}
        self._done: dict[str, int] = {}
        self._progress = progress

    def tell(self, name: str, done: int, _of: int = 0) -> None:
        """So many photos of a table are done."""
        self._done[name] = done
        self._progress("features", sum(self._done.values()), self._total)

    def finish(self, name: str) -> None:
        """A table is there."""
        self.tell(name, self._sizes[name])


def run_here(
    tasks: Sequence[PartTask], processes: int | None, threads: int, progress: Progress
) -> Generator[str, None, None]:
    """Make tables, and yield the name of each that is there.

    Parameters
    ----------
    processes
        As many as pay if None: this one begins, and goes on alone unless, after a table, more of
        them would be done sooner by what it left idle (`edgetransfer.extract.paying`).
    threads
        Of all processes together, though each has one at least.
    """
    bar = _Bar(tasks, progress)
    left = list(tasks)
    several = min(processes or 1, len(left))
    while left and several == 1:
        task, watch = left.pop(0), Watch()
        task.run(bar.tell)
        bar.finish(task.part.name)
        yield task.part.name
        if processes is None and not task.made:
            done, photos = (sum(len(t.part.samples) for t in some) for some in ([task], left))
            several = paying(watch.work(done=done, left=photos, tables=len(left), threads=threads))
    if left:
        yield from _run_beside(left, shares_of(threads, several), bar)


def _run_beside(
    tasks: Sequence[PartTask], shares: Sequence[int], bar: _Bar
) -> Generator[str, None, None]:
    logger.info("%d processes make the tables, each with an engine of its own", len(shares))
    opened = tasks[0].worker
    workers = [opened.with_threads(threads) for threads in shares]
    opened.close()  # its memory is theirs now
    with Pool(tasks, workers) as pool:
        for kind, name, value in pool.messages():
            if kind == "said":
                log_again(value)
            elif kind == "done":
                bar.tell(name, value)
            else:
                bar.finish(name)
                yield name
