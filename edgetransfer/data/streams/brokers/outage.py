"""A broker that goes away: said once, waited for, and said again when it is back."""

from __future__ import annotations

import logging
from threading import Event

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0  # seconds


class Outage:
    """How long a broker is away.

    Parameters
    ----------
    name
        Of the broker, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pause = 0.0

    def wait(self, error: object, stop: Event) -> None:
        """It cannot be reached: wait a while, longer each time."""
        if not self._pause:
            logger.warning("%s: cannot be reached, and is waited for: %s", self._name, error)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or FIRST_PAUSE)
        stop.wait(self._pause)

    def over(self) -> None:
        """It answers."""
        if self._pause:
            logger.warning("%s: is back", self._name)
            self._pause = 0.0
