"""When a training will be done, said after its first minute."""

from __future__ import annotations

import logging
from time import monotonic

from edgetransfer.types import Progress

logger = logging.getLogger(__name__)

FIRST_MINUTE = 60.0  # seconds


class Forecast:
    """A `Progress` that passes everything on, and after a minute of training says how long.

    Parameters
    ----------
    epochs
        Of the whole training.
    """

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress = progress
        self._epochs = epochs
        self._start: tuple[float, int] | None = None
        self.seconds_left: float | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """See `Progress`; the stages of the training are called ``epoch N/M``."""
        self._progress(stage, done, total)
        if self.seconds_left is not None or not stage.startswith("epoch "):
            return
        epoch = int(stage.removeprefix("epoch ").split("/")[0])
        seen = (epoch - 1) * total + done
        now = monotonic()
        if self._start is None:
            self._start = now, seen
            return
        begun, before = self._start
        if now - begun < FIRST_MINUTE or seen <= before:
            return
        rate = (seen - before) / (now - begun)
        self.seconds_left = (self._epochs * total - seen) / rate
        logger.info(
            "%.1f images/s: about %s left; Ctrl-C stops, --resume goes on",
            rate,
            spoken(self.seconds_left),
        )


def spoken(seconds: float) -> str:
    """A duration for people: ``3 h 20 min``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
