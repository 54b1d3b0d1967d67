"""How a stream stands, for those who watch it from other threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from edgetransfer.reprs import short_repr
from edgetransfer.stream.learner import OnlineLearner

SPAN = 10.0  # seconds that the rate is taken over
LATENCIES = 1000


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """How a stream stood at one moment.

    Parameters
    ----------
    report
        As `DurableLearner.report`.
    per_second
        Samples accepted, over the last ten seconds.
    latency
        Median and 99th percentile of the seconds from a sample's arrival to its
        acknowledgement, over the last thousand; None before the first.
    queued
        Arrivals that are held.
    refused
        Samples that could not be used since the start.
    paused
        Why nothing is taken in; None if it is.
    journal_bytes
        Disk that the journal takes.
    """

    report: Mapping[str, Any] = field(default_factory=dict)
    per_second: float = 0.0
    latency: tuple[float, float] | None = None
    queued: int = 0
    refused: int = 0
    paused: str | None = None
    journal_bytes: int = 0

    __repr__ = short_repr


class Throughput:
    """Makes snapshots; the newest may be read from any thread."""

    def __init__(self, learner: OnlineLearner) -> None:
        self.learner = learner
        self.paused: str | None = None
        self.snapshot = Snapshot()
        self._counts: deque[tuple[float, int]] = deque()
        self._latencies: deque[float] = deque(maxlen=LATENCIES)

    def acknowledged(self, seconds: float) -> None:
        """Count a sample that was answered so long after it came."""
        self._latencies.append(seconds)

    def look(self, *, queued: int, refused: int) -> Snapshot:
        """Take a new snapshot; for the learning thread alone."""
        now = monotonic()
        durable = self.learner.durable
        accepted = durable.accepted
        self._counts.append((now, accepted))
        while len(self._counts) > 2 and now - self._counts[0][0] > SPAN:
            self._counts.popleft()
        then, before = self._counts[0]
        ordered = sorted(self._latencies)
        self.snapshot = Snapshot(
            report=durable.report(),
            per_second=(accepted - before) / (now - then) if now > then else 0.0,
            latency=(
                (ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))])
                if ordered
                else None
            ),
            queued=queued,
            refused=refused,
            paused=self.paused,
            journal_bytes=durable.journal_bytes,
        )
        return self.snapshot
