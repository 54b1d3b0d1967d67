"""All settings of one search for the fastest way to run a backbone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import CacheDir, Features, GivenBackbone, Size, Threads


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Which backbone to measure, with what, and for how long.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone.
    data
        A folder of photos to measure with; small seeded ones are made if None.
    seconds
        When to stop trying; what is running then is finished.
    features
        The tensor to cut at; found in the graph if None.
    size
        Side of the model input, in pixels; as the card says if None.
    threads
        How many cores may be used; all if None. A plan is for as many as it was measured with.
    cache_dir
        Where the plan is kept; the user's cache folder if None.

    Examples
    --------
    >>> from edgetransfer import Tuning
    >>> Tuning(backbone="net.onnx").seconds
    50.0
    """

    backbone: GivenBackbone
    data: Annotated[
        Path | None,
        Opt(
            "Photos to measure with; small made ones if not given.",
            metavar="DIR",
            flag="--data -d",
        ),
    ] = None
    seconds: Annotated[float, Opt("When to stop trying.", metavar="X", least=0)] = 50.0
    features: Features = None
    size: Size = None
    threads: Threads = None
    cache_dir: CacheDir = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
