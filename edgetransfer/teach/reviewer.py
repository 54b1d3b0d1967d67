"""Reviews in a thread of their own, a moment after each change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic

from edgetransfer.teach.review import Review

logger = logging.getLogger(__name__)

SETTLED = 0.1  # seconds after a change
REST = 2.0  # times as long as a review took until the next


class Reviewer:
    """Keeps a review up to date.

    Parameters
    ----------
    make
        Makes one of how things stand.
    """

    def __init__(self, make: Callable[[], Review]) -> None:
        self.newest = Review()
        self._make = make
        self._changed = Condition()
        self._due = True
        self._closing = False
        self._thread = Thread(target=self._run, name="edgetransfer-review", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Something is other than it was."""
        with self._changed:
            self._due = True
            self._changed.notify_all()

    def close(self) -> None:
        """Make no more."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        rest = SETTLED
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._closing)
                self._changed.wait_for(lambda: self._closing, rest)
                if self._closing:
                    return
                self._due = False
            start = monotonic()
            try:
                self.newest = self._make()
            except Exception:  # the page shows the one before; learning goes on
                logger.exception("the photos could not be gone through")
            rest = SETTLED + REST * (monotonic() - start)
