"""All settings of one search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import Engine, MovedBackbone, Threads


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What to search, and how much to find.

    Parameters
    ----------
    source
        A folder of tables that `extract` made, or a run of `train`, whose photos are searched.
    top
        Photos to find for each that is asked for.
    backbone
        Where the backbone is now, if it was moved.

    Examples
    --------
    >>> from edgetransfer import SearchSettings
    >>> SearchSettings(source="features").top
    5
    """

    source: Annotated[
        Path,
        Opt(
            "A folder that extract made, or a run of train.", metavar="TABLES|RUN", positional=True
        ),
    ]
    top: Annotated[int, Opt("Photos to find for each.", metavar="N", least=1)] = 5
    backbone: MovedBackbone = None
    engine: Engine = "auto"
    threads: Threads = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
