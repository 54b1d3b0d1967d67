"""What is said of photos that are damaged and used all the same."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

NAMED = 5  # how many photos are named in the log


class DamageNotes:
    """Names the first few damaged photos of a run, each once."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def add(self, sample_id: str, text: str) -> None:
        """Say what is wrong with a photo."""
        if sample_id in self._named or len(self._named) > NAMED:
            return
        self._named.add(sample_id)
        if len(self._named) > NAMED:
            logger.warning("more photos are damaged, and used all the same")
        else:
            logger.warning("%s: %s", sample_id[:200], text)
