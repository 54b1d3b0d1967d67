"""How to run one backbone on one machine, as `edgetransfer tune` measured it.

A plan is kept in the user's cache folder under a key of the processor, the cores, the versions
of the engines and the backbone: where one of these differs, the plan is not found.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

from edgetransfer.atomic import write_atomically
from edgetransfer.engines.processor import available_cores, cpu_model
from edgetransfer.engines.registry import AUTO, KINDS, engine_names
from edgetransfer.reports.machine import PlanRecord
from edgetransfer.reprs import short_repr
from edgetransfer.untrusted_json import json_value

FOLDER = "plans"


@dataclass(frozen=True, kw_only=True)
class EnginePlan:
    """Which engine, and how much of everything; the defaults are those of an unmeasured machine.

    Parameters
    ----------
    engine
        ``auto`` or an engine's name.
    streams
        How many engines run beside one another, the cores shared out among them.
    batch_size
        Of the engines, at most; that of training if None. No result of training depends on it
        but by rounding.
    workers
        Decoding threads; one per core if None.
    pinned
        Whether each stream keeps to a core of its own.
    images_per_second
        Of the engines in float32 that were measured, by name: the forward pass alone.
    """

    engine: str = AUTO
    streams: int = 1
    batch_size: int | None = None
    workers: int | None = None
    pinned: bool = False
    images_per_second: dict[str, float] | None = None

    __repr__ = short_repr

    @property
    def reason(self) -> str:
        """Why its engine was chosen."""
        speeds = self.images_per_second or {}
        others = ", ".join(
            f"{name} {speed:.0f}" for name, speed in speeds.items() if name != self.engine
        )
        own = f"{speeds.get(self.engine, 0):.0f} images/s"
        return f"the fastest here when `edgetransfer tune` measured: {own}" + (
            f"; {others}" if others else ""
        )

    def batch_of(self, batch_size: int) -> int:
        """The engine's batch for a training batch: its largest divisor within the plan's."""
        most = batch_size if self.batch_size is None else min(self.batch_size, batch_size)
        return next(n for n in range(most, 0, -1) if batch_size % n == 0)

    def to_config(self) -> dict[str, Any]:
        """The plan as plain values; those that are None are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def record(self) -> PlanRecord:
        """For reports: as in `to_config`."""
        return cast(PlanRecord, self.to_config())

    @classmethod
    def from_config(cls, values: object) -> EnginePlan | None:
        """The plan that `to_config` wrote; None if it is not one that can be used here."""
        if not isinstance(values, dict) or set(values) - {f.name for f in fields(cls)}:
            return None
        plan = cls(**values)
        counts = (plan.streams, plan.batch_size, plan.workers)
        if any(n is not None and not (isinstance(n, int) and n >= 1) for n in counts):
            return None
        return plan if plan.engine in engine_names() else None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a plan is for.

    Parameters
    ----------
    backbone
        Its name, for people.
    key
        `Backbone.workload`.
    threads
        How many cores may be used; all if None.
    """

    backbone: str
    key: str
    threads: int | None = None

    __repr__ = short_repr

    def file(self, cache: Path) -> Path:
        """Where the plan is kept on this machine."""
        key = json.dumps([_here(), self._cores, self.key])
        return cache / FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    @property
    def _cores(self) -> int:
        return min(self.threads or available_cores(), available_cores())


def find_plan(cache: Path, workload: Workload) -> EnginePlan | None:
    """The plan that `tune` left, or None if there is none that can be read."""
    found = _read(workload.file(cache))
    return None if found is None else found[1]


def save_plan(plan: EnginePlan, cache: Path, workload: Workload) -> Path:
    """Keep a plan for `find_plan`; returns its file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = workload.file(cache)
    content = {"backbone": workload.backbone, "here": _here(), "plan": plan.to_config()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=1).encode())
    return path


def saved_plans(cache: Path) -> list[tuple[str, EnginePlan]]:
    """The name of each backbone that was measured on this machine as it is now, and its plan."""
    found = [_read(path) for path in sorted((cache / FOLDER).glob("*.json"))]
    return sorted((pair for pair in found if pair is not None), key=lambda pair: pair[0])


def _here() -> list[str]:
    """What a measurement depends on beside the backbone and the cores."""
    return [cpu_model(), *(f"{kind.name} {kind.version}" for kind in KINDS)]


def _read(path: Path) -> tuple[str, EnginePlan] | None:
    try:
        content = json_value(path.read_text())
        plan = EnginePlan.from_config(content["plan"])
        if plan is None or content["here"] != _here():
            return None
        return str(content["backbone"]), plan
    except (OSError, ValueError, TypeError, KeyError):
        return None
