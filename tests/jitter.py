"""Threads that pause where they meet: `EDGETRANSFER_TEST_JITTER=SEED pytest tests/stream`.

What a test takes to have happened by then is often only likely to have happened: an answer that was
given before its work was done, a file that another thread is about to write. On a quiet machine
such a test passes for months. Here whoever has told another thread something often sleeps before it
goes on, and so does who was told: what is merely likely fails at once.
"""

from __future__ import annotations

import asyncio
import functools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

SHARE, PAUSE, LONGEST = 0.4, 0.04, 0.3  # of meetings; seconds: the mean of a pause, the most of one


class Jitter:
    """Pauses the threads of this process."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def start(self) -> None:
        """From now on, whichever thread."""
        self._after(threading.Event, "set")
        self._after(threading.Event, "wait")
        self._after(threading.Condition, "wait")
        self._after(Future, "set_result")
        self._after(Future, "result")
        self._after(asyncio.BaseEventLoop, "call_soon_threadsafe")
        self._before(threading.Thread, "run")
        self._after_notifying()

    def pause(self) -> None:
        """Sleep, or go on."""
        if self._random.random() < SHARE:
            time.sleep(min(LONGEST, self._random.expovariate(1 / PAUSE)))

    def _after(self, owner: type, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self.pause()
            return result

        setattr(owner, name, call)

    def _before(self, owner: type, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.pause()
            return original(*args, **kwargs)

        setattr(owner, name, call)

    def _after_notifying(self) -> None:
        """Who notified sleeps once it has let go of the lock: before, nobody could go on."""
        told = threading.local()
        notify, leave = threading.Condition.notify, threading.Condition.__exit__

        def notified(condition: threading.Condition, n: int = 1) -> None:
            told.condition = condition
            notify(condition, n)

        def left(condition: threading.Condition, *why: Any) -> Any:
            result = leave(condition, *why)
            if getattr(told, "condition", None) is condition:
                told.condition = None
                self.pause()
            return result

        vars_of: Any = threading.Condition
        vars_of.notify, vars_of.__exit__ = notified, left
