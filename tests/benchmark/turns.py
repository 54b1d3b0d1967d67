"""Turns of a benchmark taken in this process, where the other load is none."""

from __future__ import annotations

from edgetransfer.benchmark.child import TurnFailedError
from edgetransfer.benchmark.turn import take_turn


def undisturbed(record):
    """Whatever else this machine does now."""
    quiet = {"other_load": 0.0, "contention": 0.0, "throttled": 0.0}
    return record | quiet | {"floor": record["floor"] | {"other_load": 0.0}}


class Turns:
    """Takes turns in this process, and remembers which."""

    def __init__(self, *, stop_before=None, fails=()):
        self.taken = []
        self._stop_before = stop_before
        self._fails = fails

    def __call__(self, request, progress):
        training = request.training
        if len(self.taken) == self._stop_before:
            raise KeyboardInterrupt
        name = training.backbone.rsplit("/", 1)[-1]
        self.taken.append((training.data.name, training.seed, request.epoch, name))
        if name in self._fails:
            raise TurnFailedError("the engine aborted (SIGABRT)")
        return undisturbed(take_turn(request, progress))


def without_times(report):
    """What two runs of one benchmark have in common."""
    kept = ("backbone", "sparsity", "engine", "data", "top1", "mean_per_class", "accuracy_gap")
    return [{key: row[key] for key in kept} for row in report["rows"]]
