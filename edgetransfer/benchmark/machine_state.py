"""The machine that measurements were taken on, as far as it bears on them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgetransfer.engines.processor import cpu_flags
from edgetransfer.jobs.doctor import describe_machine

QUOTA = Path("/sys/fs/cgroup/cpu.max")
LOOKED_FOR = 0.2  # seconds
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def machine_state() -> dict[str, Any]:
    """Processor, governor, load, memory and versions, for the report."""
    import psutil

    found = describe_machine()
    return {
        "cpu": found["cpu"],
        "virtual": "hypervisor" in cpu_flags(),
        "quota": _quota(),
        "governor": _governor(),
        "load": _load(),
        "memory_bytes": int(psutil.virtual_memory().total),
        "system": found["system"],
        "python": found["python"],
        "versions": found["packages"],
    }


def machine_identity(machine: dict[str, Any]) -> dict[str, Any]:
    """What must not change from one turn of a benchmark to the next."""
    return {key: machine[key] for key in ("cpu", "system", "python", "versions")}


def busy_share() -> float:
    """The share of all cores that are at work at this moment, 0 to 1; takes a moment."""
    import psutil

    return float(psutil.cpu_percent(interval=LOOKED_FOR)) / 100


def _quota() -> float | None:
    """How many cores a container's quota allows; None without one."""
    try:
        most, period = QUOTA.read_text(encoding="ascii").split()
        return float(most) / float(period)
    except (OSError, ValueError):
        return None


def _governor() -> str | None:
    """How the clock frequency is chosen; None where it cannot be told, as in most guests."""
    try:
        return GOVERNOR.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def _load() -> float | None:
    """Processes that ran or waited to, on average over the last minute."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows
        return None
