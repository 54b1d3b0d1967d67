"""How much memory a run took."""

from __future__ import annotations

import sys


def peak_memory_bytes() -> int | None:
    """The largest resident memory of this process so far; None where it cannot be told."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
