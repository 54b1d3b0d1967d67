"""What one photo is taken for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgetransfer.reprs import short_repr


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What one image is taken for.

    Parameters
    ----------
    id
        Of the sample.
    classes
        Class names, the most probable first; empty if the image could not be decoded.
    probabilities
        Of these classes, each 0 to 1.
    error
        Why it could not be decoded, else None.
    unknown
        Whether it probably shows none of the classes: it is further from all of them than the
        head takes its own for (see `edgetransfer.heads.Novelty`), or none reaches the probability
        that was asked for.

    Examples
    --------
    >>> from edgetransfer import Prediction
    >>> found = Prediction(id="cat.jpg", classes=("cat", "dog"), probabilities=(0.9, 0.1))
    >>> found.to_dict()["classes"]
    ('cat', 'dog')
    """

    id: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str | None = None
    unknown: bool = False

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The fields by name: a row of a data frame, or JSON."""
        return asdict(self)
