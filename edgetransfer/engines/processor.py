"""The processor that engines run on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """What the processor calls itself, ``unknown`` where that cannot be told."""
    return _cpuinfo().get("model name") or platform.processor() or "unknown"


def cpu_flags() -> list[str]:
    """Its instruction sets, by the kernel's names; none where they cannot be told."""
    return _cpuinfo().get("flags", "").split()


# Those by which libraries choose their kernels, and so in which order they add.
_CHOSEN_BY = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile")


def instructions() -> str:
    """The instruction sets by which libraries choose how they compute, in one line."""
    flags = set(cpu_flags())
    return "+".join(name for name in _CHOSEN_BY if name in flags) or platform.machine() or "unknown"


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
