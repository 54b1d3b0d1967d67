"""What is offered to a durable learner, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edgetransfer.data.streams.arrivals import Correction
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array

Status = Literal[
    "accepted", "labelled", "relabelled", "forgotten", "duplicate", "unknown", "rejected"
]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A sample that is offered to the learner.

    Parameters
    ----------
    id
        Of the sample; one that was accepted before is not learned again. The name of a class that
        is to be forgotten.
    label
        A class name; None where it is not known yet.
    rows
        (views, D) float32; None to give an earlier, unlabelled sample its label.
    correction
        What is to be done to an earlier sample instead; then there are no rows.
    """

    id: str
    label: str | None
    rows: Float32Array | None
    correction: Correction | None = None

    __repr__ = short_repr


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a sample; when it is given out, that is on disk.

    Parameters
    ----------
    id
        Of the sample.
    status
        ``accepted``; ``labelled``: an earlier, unlabelled sample has its label now;
        ``relabelled``: an earlier sample has another label now; ``forgotten``: it was taken away;
        ``duplicate``: this id was accepted before, or has this label already; ``unknown``: an id
        that no sample, or no unlabelled one, has (any more); ``rejected``: it cannot be done,
        ``reason`` says why.
    predicted
        The class that the head took it for before it was learned; None without classes.
    probability
        Of that class, 0 to 1.
    unknown
        Whether it probably shows none of the classes; None where the head cannot tell.
    removed
        Samples of a class that was forgotten.
    """

    id: str
    status: Status
    predicted: str | None = None
    probability: float | None = None
    unknown: bool | None = None
    reason: str | None = None
    removed: int | None = None

    __repr__ = short_repr

    def as_json(self) -> dict[str, Any]:
        """The fields that say something."""
        return {key: value for key, value in vars(self).items() if value is not None}
