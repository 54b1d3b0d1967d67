"""What a compaction is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import Features, GivenBackbone


@dataclass(frozen=True, kw_only=True)
class Compaction:
    """What to compact, and where the result goes.

    Parameters
    ----------
    backbone
        An ONNX file or a bundled backbone.
    out
        The ONNX file to write; its card is written beside it.
    features
        The feature tensor; found in the graph if None.
    overwrite
        Whether files that are there may be replaced.

    Examples
    --------
    >>> from edgetransfer import Compaction
    >>> Compaction(backbone="sparse.onnx", out="smaller.onnx").overwrite
    False
    """

    backbone: GivenBackbone
    out: Annotated[Path, Opt("The ONNX file to write.", metavar="FILE.onnx", flag="--out -o")]
    features: Features = None
    overwrite: Annotated[bool, Opt("Replace the file and card that are there.")] = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
