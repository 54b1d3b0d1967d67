"""All settings of one server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.address import AddressSettings
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import (
    Engine,
    MovedBackbone,
    ServerBatch,
    Threads,
    TrainedRun,
    UnknownBelow,
)


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """One server of predictions.

    Parameters
    ----------
    run
        A run folder, or a file that `edgetransfer export` wrote.
    address
        Where it listens.
    backbone
        Where the run's backbone is now, if it was moved.
    batch_size
        Photos that go through the engine together at most.
    gather_milliseconds
        How long it is waited for another photo to go with it; for all of them four times as long.
    unknown_below
        Below which probability a photo shows none of the classes; the run's own if None.

    Examples
    --------
    >>> from edgetransfer import AddressSettings, ServeSettings
    >>> ServeSettings(run="run", address=AddressSettings(port=0)).batch_size
    8
    """

    run: TrainedRun
    address: AddressSettings = field(default_factory=AddressSettings)
    batch_size: ServerBatch = 8
    gather_milliseconds: Annotated[
        float,
        Opt("How long a photo waits for others to go with it.", metavar="X", least=0, most=1000),
    ] = 4.0
    unknown_below: UnknownBelow = None
    backbone: MovedBackbone = None
    engine: Engine = "auto"
    threads: Threads = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
