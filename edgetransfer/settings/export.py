"""All settings of one export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import MovedBackbone, UnknownBelow


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What to give away, where to write it, and in which form.

    Parameters
    ----------
    run
        A folder of `train`, `finetune` or `stream`, which may be running; or an export.
    out
        ``FILE.onnx`` for one graph from images to probabilities, with a script beside it that
        needs onnxruntime, numpy and pillow alone. Else a new folder: backbone, card, head, labels
        and a model card.
    merge_head
        Of a folder: also ``model.onnx`` and the script.
    preprocessing_inside
        The graph takes (n, S, S, 3) uint8 and normalises by itself.
    unknown_below
        Below which probability, 0 to 1, a photo shows none of the classes; the run's own if None.
    backbone
        Where the run's backbone is now, if it was moved.

    Examples
    --------
    >>> from edgetransfer import ExportSettings
    >>> ExportSettings(run="run", out="pets.onnx").merge_head
    False
    """

    run: Annotated[
        Path,
        Opt(
            "A run folder made by train, finetune or stream; or an export.",
            metavar="RUN",
            positional=True,
        ),
    ]
    out: Annotated[
        Path,
        Opt(
            "One ONNX file with a script beside it, or a new folder.",
            metavar="DIR|FILE.onnx",
            flag="--out -o",
        ),
    ]
    merge_head: Annotated[
        bool,
        Opt("Of a folder: also model.onnx, from images to probabilities, and the script."),
    ] = False
    preprocessing_inside: Annotated[
        bool,
        Opt(
            "The ONNX file takes resized, cropped uint8 images (n, height, width, 3) and "
            "normalises by itself."
        ),
    ] = False
    unknown_below: UnknownBelow = None
    backbone: MovedBackbone = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
