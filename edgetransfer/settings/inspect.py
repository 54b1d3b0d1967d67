"""All settings of one look at a backbone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import (
    CacheDir,
    Engine,
    Features,
    GivenBackbone,
    Size,
    Threads,
)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Which backbone to look at, and how closely.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone.
    batch_size
        Of the speed trial.
    compare
        Whether a sparse backbone's speed is compared with that of the same network without zeros,
        which takes a second compilation.
    data
        A few labelled photos, which every usual normalisation is scored on.
    features
        The tensor to cut at; found in the graph if None.
    size
        Side of the model input, in pixels; as the card says if None.
    cache_dir
        Where plans and trials are kept; the user's cache folder if None.

    Examples
    --------
    >>> from edgetransfer import Inspection
    >>> Inspection(backbone="net.onnx").batch_size
    64
    """

    backbone: GivenBackbone
    batch_size: Annotated[int, Opt("Of the speed trial.", metavar="N", least=1)] = 64
    features: Features = None
    size: Size = None
    engine: Engine = "auto"
    threads: Threads = None
    cache_dir: CacheDir = None
    compare: Annotated[bool, Opt("Compare a sparse backbone's speed with dense.")] = True
    data: Annotated[
        Path | None,
        Opt(
            "A few labelled photos: says which usual normalisation of the input separates them "
            "best.",
            metavar="DIR|MANIFEST",
            flag="--data -d",
        ),
    ] = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
