"""The settings of one SGD, with the paper's values as defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import NoOption
from edgetransfer.settings.shared import Descent


@dataclass(frozen=True, kw_only=True)
class SGDSettings(Descent):
    """Iofinova et al. (CVPR 2022), appendix B; momentum and weight decay as in its reference [61].

    Which is Salman et al., "Do adversarially robust ImageNet models transfer better?" (NeurIPS
    2020).

    Parameters
    ----------
    learning_rate
        The first one; it is divided by ten after each third of the epochs.
    momentum, weight_decay
        As in `Descent`.
    """

    learning_rate: Annotated[float, NoOption("each command has a rate of its own")] = 0.01

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"the learning rate must be above zero, not {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"momentum lies between 0 and 1, not {self.momentum}")
        if not 0 <= self.weight_decay < float("inf"):
            raise UsageError(f"the weight decay cannot be {self.weight_decay}")

    def rate(self, epoch: int, epochs: int) -> float:
        """The learning rate of an epoch (from 0) out of ``epochs``."""
        return float(self.learning_rate * 0.1 ** (3 * epoch // max(epochs, 1)))
