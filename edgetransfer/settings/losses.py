"""What training by steps minimises, beside cross-entropy: settings of `finetune` and `pretrain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt

LOSS = "Loss"


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Labels that are not wholly believed, and a teacher beside them.

    Parameters
    ----------
    label_smoothing
        Share of the target spread over all classes (Szegedy et al., CVPR 2016).
    teacher
        An ONNX file to learn from: of as many outputs as there are classes (Hinton et al.,
        2015), or with features as long as the network's; it teaches these, and the answers of a
        linear head that is fitted to them first.
    teacher_weight
        The teacher's share of the loss, 0 to 1.
    temperature
        At which the teacher's and the student's logits are compared.
    """

    label_smoothing: Annotated[float, Opt(metavar="X", panel=LOSS, least=0, most=1)] = 0.0
    teacher: Annotated[
        str | None,
        Opt(
            "ONNX file to learn from, dense or sparse: an output for each class, or features as "
            "long as the network's, such as the dense backbone that it was made from.",
            metavar="FILE",
            panel=LOSS,
        ),
    ] = None
    teacher_weight: Annotated[
        float, Opt("Its share of the loss.", metavar="X", panel=LOSS, least=0, most=1)
    ] = 0.5
    temperature: Annotated[float, Opt(metavar="X", panel=LOSS, above=0)] = 2.0

    __repr__ = short_repr
