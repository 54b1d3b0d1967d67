"""How many processes pay: by what one of them leaves idle of the cores, as it is measured.

More processes compute nothing faster; they only fill cores that one process leaves idle while it
does what it can do on one core alone. How long that is follows from the idle share by Amdahl's law
(Amdahl, AFIPS 1967): of a second, s on one core and the rest on all T of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter, process_time

import psutil

from edgetransfer.reprs import short_repr

START_SECONDS = 4.0  # until the processes have started: 2 to 3 s of a core for each
GAIN = 0.05  # what it must bring at least, of the time that is left
MEMORY = 0.5  # of what is free, for all of them


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one process with all threads has done, and what is left.

    Parameters
    ----------
    seconds
        That what is left will take in one process.
    idle
        0 to 1: the share of its cores that it left idle, and nobody else used.
    tables
        How many are left.
    threads
        Of this process: the cores that it may keep busy.
    most
        Processes that memory has room for.
    """

    seconds: float
    idle: float
    tables: int
    threads: int
    most: int

    __repr__ = short_repr

    def seconds_in(self, processes: int) -> float:
        """What it will take in so many processes, each with its share of the threads."""
        if processes == 1:
            return self.seconds
        alone = min(self.idle * self.threads / (self.threads - 1), 1.0)  # of a second, on one core
        spread = (1 - alone) * self.threads  # core-seconds that any number of cores may share
        each = (alone + spread * processes / self.threads) / processes
        rounds = -(-self.tables // processes)  # in the last one some may have nothing to do
        return self.seconds * each * rounds * processes / self.tables + START_SECONDS


def paying(work: Work) -> int:
    """The number of processes that is done first; 1 unless more of them bring `GAIN`."""
    most = min(work.threads, work.tables, work.most)
    best = min(range(1, most + 1), key=work.seconds_in, default=1)
    return best if work.seconds_in(best) < (1 - GAIN) * work.seconds else 1


class Watch:
    """What a piece of work keeps busy: from here to `work`."""

    def __init__(self) -> None:
        self._start = perf_counter(), process_time(), _idle_seconds()

    def work(self, *, done: int, left: int, tables: int, threads: int) -> Work:
        """What is left after so many photos."""
        start, own, idle = self._start
        seconds = max(perf_counter() - start, 1e-9)
        unused = min(threads - (process_time() - own) / seconds, (_idle_seconds() - idle) / seconds)
        return Work(
            seconds=seconds / max(done, 1) * left,
            idle=min(max(unused / threads, 0.0), 1.0),
            tables=tables,
            threads=threads,
            most=_room(),
        )


def _idle_seconds() -> float:
    """Of all cores of the machine, since it started."""
    return float(psutil.cpu_times().idle)


def _room() -> int:
    """How many processes as large as this one there is memory for."""
    return int(MEMORY * psutil.virtual_memory().available / psutil.Process().memory_info().rss)
