"""A scheduler and its workers, simulated: stragglers, deaths, restarts.

Time is in seconds. Each task is a table: it is there whole or not at all, so that a worker that
dies loses the task that it has in hand and no other.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import inf
from random import Random


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Who works, and what may happen.

    Parameters
    ----------
    workers
        How many.
    spread
        Standard deviation of the logarithm of a task's time.
    slow, slowness
        The share of workers that are slow, and how many times.
    life
        Mean seconds until a worker dies; infinite for never.
    restart
        Seconds until another one takes its place.
    start
        Seconds from a worker's beginning to its first task: opening the backbone.
    """

    workers: int = 1000
    spread: float = 0.05
    slow: float = 0.02
    slowness: float = 3.0
    life: float = 24 * 3600.0
    restart: float = 120.0
    start: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it went.

    Parameters
    ----------
    seconds
        Until the last task was done.
    paid
        Seconds of workers, those that wait at the end not counted.
    lost
        Seconds of work that deaths made void.
    deaths
        Of workers.
    done
        How often each task was finished.
    """

    seconds: float
    paid: float
    lost: float
    deaths: int
    done: tuple[int, ...]


def simulated(tasks: int, each: float, cluster: Cluster, seed: int = 0) -> Outcome:
    """Run so many tasks of so many seconds each; the same outcome for the same arguments.

    Whoever is free takes the next task. A life is exponential, so that what is left of it at the
    beginning of a task is drawn anew.
    """
    random = Random(seed)
    slow = round(cluster.slow * cluster.workers)
    waiting = list(range(tasks - 1, -1, -1))
    free = list(range(cluster.workers - 1, -1, -1))
    # (when, worker, task, how long it was in hand, whether it is done)
    events: list[tuple[float, int, int, float, bool]] = []
    comes_back: list[tuple[float, int]] = []
    done = [0] * tasks
    now = paid = lost = 0.0
    started = cluster.start
    deaths = 0

    def hand_out(at: float) -> None:
        while waiting and free:
            worker, task = free.pop(), waiting.pop()
            pace = cluster.slowness if worker < slow else 1.0
            takes = each * pace * random.lognormvariate(0, cluster.spread)
            lives = random.expovariate(1 / cluster.life) if cluster.life < inf else inf
            held = min(takes, lives)
            heapq.heappush(events, (at + held, worker, task, held, takes <= lives))

    hand_out(started)
    while events:
        now, worker, task, held, whole = heapq.heappop(events)
        paid += held
        if whole:
            done[task] += 1
            free.append(worker)
        else:
            deaths += 1
            lost += held
            waiting.append(task)
            heapq.heappush(comes_back, (now + cluster.restart + cluster.start, worker))
        until = events[0][0] if events else inf
        hand_out(now)
        while comes_back and waiting and (comes_back[0][0] <= until or not events):
            back, again = heapq.heappop(comes_back)
            free.append(again)
            hand_out(max(back, now))
            until = events[0][0] if events else inf
        while comes_back and comes_back[0][0] <= now:
            free.append(heapq.heappop(comes_back)[1])
    return Outcome(seconds=now, paid=paid, lost=lost, deaths=deaths, done=tuple(done))
