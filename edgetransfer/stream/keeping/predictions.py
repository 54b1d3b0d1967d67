"""``predictions.jsonl``: what samples without a label were taken for.

Sources that nobody waits at (a folder, tar shards, a video) have no other place for it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from edgetransfer.names import json_text
from edgetransfer.stream.keeping.opened import open_file, write_all
from edgetransfer.stream.learning.views import Guess
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

NAME, OLDER = "predictions.jsonl", "predictions.1.jsonl"
LARGEST = 64 * 2**20  # bytes of either file


class Predictions:
    """Appends a line a sample; the older half goes when there are too many.

    A line is written before its sample is acknowledged: after a kill there may be two of one id,
    and the later one counts.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._failing = False

    def add(self, predicted: Iterable[tuple[str, Guess]]) -> None:
        """Write down samples by their ids, and what each was taken for."""
        lines = "".join(
            json_text(
                {
                    "id": sample_id,
                    "predicted": guess.name,
                    "probability": guess.probability,
                    "unknown": guess.unknown,
                }
            )
            + "\n"
            for sample_id, guess in predicted
        )
        if not lines:
            return
        path = self._run / NAME
        try:
            handle = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                write_all(handle, lines.encode())
                full = os.fstat(handle).st_size > LARGEST
            finally:
                os.close(handle)
            if full:
                os.replace(path, self._run / OLDER)
            self._failing = False
        except OSError as error:  # the journal holds what matters
            if not self._failing:
                logger.warning("%s: not written: %s", path, error.strerror)
            self._failing = True


def without(path: Path, ids: frozenset[str], classes: frozenset[str]) -> bytes:
    """The lines of a file that name none of these samples and classes."""
    kept = []
    with path.open("rb") as file:
        for text in file:
            try:
                line = json_value(text)
                if line["id"] in ids or line["predicted"] in classes:
                    continue
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # torn
            kept.append(text)
    return b"".join(kept)
