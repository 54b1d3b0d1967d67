"""Waiting for what another thread or process does, in place of a pause that should be enough."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(there: Callable[[], bool], seconds: float = 60) -> None:
    """Return as soon as it is so; fail if it is not by then."""
    last = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < last, f"not so after {seconds} s"
        time.sleep(0.005)
