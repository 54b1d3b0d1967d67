"""A stream does not end because its disk is full: it waits until there is room."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

from edgetransfer.errors import EdgeTransferError
from edgetransfer.stream.keeping.journal import FULL

logger = logging.getLogger(__name__)

RETRY = 1.0  # seconds between tries

Result = TypeVar("Result")


def once_there_is_room(
    attempt: Callable[[], Result],
    run: Path,
    stop: Event,
    *,
    then: str,
    otherwise: str = "",
    paused: Callable[[str | None], None] = lambda _: None,
) -> Result:
    """What an attempt to write returns, made again while the disk is full.

    Parameters
    ----------
    run
        A folder on the disk, for messages.
    stop
        What ends the waiting.
    then, otherwise
        What happens once there is room, and what it means that there was none.
    paused
        Told why it waits, at every try, and None when it does not any more.

    Raises
    ------
    EdgeTransferError
        If it is stopped before there is room.
    """
    reason = f"the disk of {run} is full"
    told = False
    while True:
        try:
            result = attempt()
        except OSError as full:
            if full.errno not in FULL:
                raise
            if not told:
                logger.warning("paused: %s; make room, and the stream %s", reason, then)
            told = True
            paused(reason)
            if stop.wait(RETRY):
                raise EdgeTransferError(f"{reason}{otherwise}") from full
        else:
            if told:
                logger.info("there is room again; going on")
                paused(None)
            return result
