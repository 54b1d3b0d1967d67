"""How a run is opened to say what photos show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import (
    TOP,
    Engine,
    MovedBackbone,
    Threads,
    TrainedRun,
    UnknownBelow,
)


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """What says what photos show, and how much of it.

    Parameters
    ----------
    run
        A run folder, or what `export` made of one.
    top
        Classes to name.
    unknown_below
        Below which probability, 0 to 1, a photo shows none of the classes; the run's own if None.
    backbone
        Where the run's backbone is now, if it was moved.

    Examples
    --------
    >>> from edgetransfer import PredictSettings
    >>> PredictSettings(run="run").top
    5
    """

    run: TrainedRun
    top: Annotated[int, Opt("Classes to name.", metavar="N", least=1)] = TOP
    unknown_below: UnknownBelow = None
    backbone: MovedBackbone = None
    engine: Engine = "auto"
    threads: Threads = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
