"""What a measurement and everything else took of the processor, and how fast that was clocked."""

from __future__ import annotations

import os
from pathlib import Path
from time import process_time, thread_time

from edgetransfer.engines import available_cores
from edgetransfer.errors import EngineError

CGROUP = Path("/sys/fs/cgroup/cpu.stat")
SPIN_ROUNDS, SPINS = 400_000, 5


class Usage:
    """What this process and the others took of the processor since it was made.

    Parameters
    ----------
    threads
        The cores that the measurement means to use; all of this process's if None.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._cores = threads or available_cores()
        self._own, self._throttled = process_time(), _throttled_seconds()
        self._all, self._waited = _busy_seconds()

    def since(self, seconds: float) -> dict[str, float]:
        """By name, over the ``seconds`` since then.

        ``cpu_seconds`` of this process; ``other_load``, the share of all cores that others took;
        ``contention``, the share of the cores that this process wanted that they must have taken,
        for they had more than it left them; ``waiting``, the share of all cores that waited for
        disks; ``throttled``, the share of the time in which a quota held the process back.
        """
        logical = os.cpu_count() or 1
        busy, waited = _busy_seconds()
        own = process_time() - self._own
        others = max(busy - self._all - own, 0.0)
        seconds = max(seconds, 1e-9)
        spare = max(logical - self._cores, 0)
        return {
            "cpu_seconds": own,
            "other_load": others / (seconds * logical),
            "contention": min(max(others / seconds - spare, 0.0) / self._cores, 1.0),
            "waiting": max(waited - self._waited, 0.0) / (seconds * logical),
            "throttled": max(_throttled_seconds() - self._throttled, 0.0) / seconds,
        }


def _busy_seconds() -> tuple[float, float]:
    """Processor seconds that all processes took since the machine started; and idle ones for disks.

    What a host took of a virtual machine's cores ("steal") counts as taken by others.
    """
    import psutil

    times = psutil.cpu_times()
    waited = float(getattr(times, "iowait", 0.0))
    # Linux counts guests' time in user and nice already.
    twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - times.idle - waited - twice), waited


def _throttled_seconds() -> float:
    """How long a container's quota has held its processes back; 0 where there is none."""
    try:
        lines = CGROUP.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0.0
    found = dict(line.split(maxsplit=1) for line in lines if " " in line)
    return float(found.get("throttled_usec", 0)) / 1e6


def clock_speed() -> float | None:
    """Multiply-adds that one core does in a second of its own time; None without the library.

    It is the processor's clock in other units: what other processes take does not lower it, heat
    and a power limit do.
    """
    from edgetransfer.engines.sparse.library import load_library

    try:
        library = load_library()
    except EngineError:
        return None
    best = 0.0
    for _ in range(SPINS):
        start = thread_time()
        adds = int(library.sparse_spin(SPIN_ROUNDS))
        taken = thread_time() - start
        if taken > 0:
            best = max(best, SPIN_ROUNDS * adds / taken)
    return best or None
