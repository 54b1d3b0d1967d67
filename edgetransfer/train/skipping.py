"""Images that could not be used: named, counted, and too many of them stop the run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from edgetransfer.data import Sample
from edgetransfer.errors import DataError
from edgetransfer.reports.shared import SkippedRecord

logger = logging.getLogger(__name__)

NAMED = 5  # how many are named in the log; the run folder lists all


class SkippedImages:
    """The images of one run that could not be used.

    Parameters
    ----------
    total
        How many images the run has.
    max_bad
        The share of them that may be skipped, 0 to 1.
    """

    def __init__(self, total: int, max_bad: float) -> None:
        self.records: list[SkippedRecord] = []
        self._ids: set[str] = set()
        self._total = total
        self._max_bad = max_bad

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, sample: Sample) -> bool:
        return sample.id in self._ids

    def add(self, sample: Sample, reason: str) -> None:
        """Count an image.

        Raises
        ------
        DataError
            If there are more than the share allows.
        """
        if sample.id in self._ids:
            return
        self._ids.add(sample.id)
        self.records.append({"id": sample.id, "reason": reason})
        if len(self) <= NAMED:
            logger.warning("skipped %s: %s", sample.id, reason)
        if len(self) == NAMED + 1:
            logger.warning("more images are skipped; skipped.jsonl in the run folder names them")
        if len(self) > self._max_bad * self._total:
            examples = "; ".join(f"{r['id']}: {r['reason']}" for r in self.records[:3])
            raise DataError(
                f"{len(self)} of {self._total} images cannot be used, more than --max-bad "
                f"{self._max_bad:g} allows ({examples}); mend or remove them"
            )

    def restore(self, records: Sequence[SkippedRecord]) -> None:
        """Go on from the records of a checkpoint."""
        self.records = [{"id": record["id"], "reason": record["reason"]} for record in records]
        self._ids = {record["id"] for record in self.records}
