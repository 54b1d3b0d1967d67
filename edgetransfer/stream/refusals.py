"""Samples that could not be used: each written down with its reason."""

from __future__ import annotations

import json
import logging

from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import SKIPPED

logger = logging.getLogger(__name__)

NAMED = 5  # how many are named in the log
WRITTEN = 100_000  # lines at most: a stream of nonsense must not fill the disk


class Refusals:
    """The samples that this start of a stream has refused."""

    def __init__(self, run: RunFolder) -> None:
        self._path = run.file(SKIPPED)
        self.count = 0

    def add(self, sample_id: str, reason: str) -> None:
        """Count one."""
        self.count += 1
        if self.count <= NAMED:
            logger.warning("refused %s: %s", sample_id[:200], reason)
        if self.count == NAMED + 1:
            logger.warning("more are refused; %s names them", self._path)
        if self.count > WRITTEN:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                line = {"id": sample_id[:1000], "reason": reason}
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            logger.debug("%s: %s", self._path, error)
