"""The engines of a benchmark alone, each measured once beside its turns."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from edgetransfer.benchmark.child import TurnFailedError, measure_turn
from edgetransfer.benchmark.doubts import BUSY, UNTELLABLE
from edgetransfer.benchmark.folder import PROFILES
from edgetransfer.benchmark.job import BenchmarkJob, Measure
from edgetransfer.benchmark.profile import COMMAND
from edgetransfer.benchmark.turn import TurnRequest
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)


def measure_profile(request: TurnRequest, progress: Progress) -> dict[str, Any]:
    """Measure an engine alone in a process of its own; see `measure_turn`."""
    return measure_turn(request, progress, command=COMMAND)


def profiles_of(job: BenchmarkJob, measure: Measure) -> list[dict[str, Any]]:
    """A record for each backbone in each engine that ran it, on the first data set alone.

    One that others disturbed is measured again where retakes are allowed; it says so in
    ``disturbed``, and in ``withheld`` where its times mean nothing.
    """
    found = []
    turns = [turn for turn in job.first_turns() if turn.cell.reason is None and turn.cell.records]
    for number, turn in enumerate(turns, 1):
        label = f"engine {number}/{len(turns)}"
        record = _kept_or_measured(job, turn.key, measure, job.request_of(turn), label)
        if record is None:
            continue
        found.append(
            {
                "backbone": turn.cell.contestant.name,
                "sparsity": turn.cell.contestant.backbone.sparsity,
                **record,
                "disturbed": record["other_load"] > BUSY,
                "withheld": record["other_load"] > UNTELLABLE,
            }
        )
    return found


def _kept_or_measured(
    job: BenchmarkJob, key: str, measure: Measure, request: TurnRequest, label: str
) -> dict[str, Any] | None:
    best: dict[str, Any] | None = job.folder.kept(PROFILES).get(key)
    takes = 1 + job.settings.retakes if best is None else job.settings.retakes
    for _ in range(takes):
        if best is not None and best["other_load"] <= BUSY:
            break
        try:
            new = measure(
                replace(request, head_before=None, score=False),
                lambda stage, done, total: job.progress(f"{label}: {stage}", done, total),
            )
        except TurnFailedError as error:
            logger.warning("%s: not measured alone: %s", key, error)
            break
        if best is None or new["other_load"] < best["other_load"]:
            best = new
            job.folder.keep(PROFILES, key, new)
    return best
