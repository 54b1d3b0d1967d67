"""What becomes of an offer: learned, known already, or refused."""

from __future__ import annotations

import numpy as np

from edgetransfer.stream.keeping.backlog import Backlog
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.offers import Offer, Status
from edgetransfer.stream.learning.records import Kind

Taken = dict[bytes, str | None]
"""Labels by key of the samples that were admitted just now, and are not written down yet."""


class Admission:
    """Decides on offers, and changes nothing.

    Parameters
    ----------
    standing
        How the run stands with all that was written down.
    max_classes
        Offers of further classes are refused.
    """

    def __init__(self, standing: Backlog, max_classes: int) -> None:
        self._standing = standing
        self._max_classes = max_classes

    def of(self, offer: Offer, taken: Taken) -> tuple[Status, Kind | None, str | None]:
        """The status of an offer, the record that is made of it if any, and why it is refused."""
        status, kind = self._status(offer, taken)
        reason = None
        if kind is not None and offer.label is not None:
            reason = self.why_no_class(offer.label, taken)
        if kind is not None and offer.rows is not None and not np.isfinite(offer.rows).all():
            reason = "its features are not finite"
        return (status, kind, None) if reason is None else ("rejected", None, reason)

    def why_no_class(self, label: str, taken: Taken) -> str | None:
        """Why no sample can have this label; None if one can."""
        if self._standing.has_class(label):
            return None
        names = {name for name in taken.values() if name is not None}
        new = {name for name in names if not self._standing.has_class(name)}
        if label in new or self._standing.classes + len(new) < self._max_classes:
            return None
        return (
            f"a class beyond the {self._max_classes} that --max-classes allows; was an id given "
            "as the label?"
        )

    def _status(self, offer: Offer, taken: Taken) -> tuple[Status, Kind | None]:
        key = id_key(offer.id)
        if key in taken:
            return "duplicate", None
        if self._standing.pooled(key) is not None:
            return ("labelled", "label") if offer.label is not None else ("duplicate", None)
        if self._standing.known(key):
            return "duplicate", None
        if offer.rows is None:
            return "unknown", None
        return "accepted", "sample"
