"""AC/DC: Peste, Iofinova, Vladu, Alistarh, "AC/DC: Alternating Compressed/DeCompressed Training of
Deep Neural Networks", NeurIPS 2021; thesis 3.3.2 and 3.4.1.

A dense warm-up; then compressed phases, of which each takes a new mask of the largest weights (over
all prunable layers together, unless ``distribution`` says otherwise) and trains those alone, in
turns with dense phases, at whose beginning the momentum is reset. The last dense and the last
sparse phase are longer. By default they last 10, 5, 5, 10 and 15 epochs of 100; a longer training
has more phases of the same length (thesis 3.4.4), a shorter one the same in proportion.
Guaranteed: the sparsity is exact in compressed phases, the support changes where one begins, and
the training ends on one.

The dense twin (thesis 3.6.1) begins where the last compressed phase does, with the weights that
were there, and is trained densely instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from edgetransfer.errors import UsageError
from edgetransfer.pretrain.network import Tensors
from edgetransfer.pretrain.policies.policy import Policy, target_of
from edgetransfer.pretrain.training import Horizon, Training
from edgetransfer.settings.policy_options import phases_of
from edgetransfer.settings.pretrain import Pretraining

LENGTHS = (10.0, 5.0, 5.0, 10.0, 15.0)  # epochs, of a training of `USUAL`
USUAL = 100


@dataclass(frozen=True)
class Phase:
    """Steps from ``first`` up to the next phase's first."""

    first: int
    compressed: bool


class ACDC(Policy):
    """Alternating compressed and decompressed phases."""

    def __init__(self, settings: Pretraining, training: Training) -> None:
        super().__init__(settings, training)
        self.target = target_of(settings, training)
        self.phases = phases(settings, training.horizon)
        self.twin: Tensors = {}

    @property
    def last_phase(self) -> int:
        """The first step of the last compressed phase."""
        return self.phases[-1].first

    def before_step(self, step: int) -> None:
        """See `Policy.before_step`."""
        begun = next((phase for phase in self.phases if phase.first == step), None)
        if begun is None or not step:
            return
        if not begun.compressed:
            self.training.decompress()
            return
        if step == self.last_phase and self.settings.option("twin") != "none":
            self.twin = self.net.values
        self.compress(self.target, self.net.prunable)

    def state(self) -> Tensors:
        """See `Policy.state`."""
        return {f"twin/{name}": value for name, value in self.twin.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See `Policy.restore`."""
        self.twin = {n.removeprefix("twin/"): v for n, v in state.items() if n.startswith("twin/")}


def phases(settings: Pretraining, horizon: Horizon) -> tuple[Phase, ...]:
    """The phases of a training, in steps.

    Raises
    ------
    UsageError
        If they do not fit into it.
    """
    lengths: tuple[float, ...]
    if settings.phases is not None:
        lengths = phases_of(settings.phases)
    else:
        unit = min(1.0, horizon.base_epochs / USUAL)
        # Where there are few steps a phase has one at least.
        lengths = tuple(max(n * unit, 1 / horizon.per_epoch) for n in LENGTHS)
    warm, sparse, dense, last_dense, last_sparse = lengths
    epochs = horizon.steps / horizon.per_epoch
    ends = last_dense + last_sparse
    if warm + sparse + ends > epochs + 1e-9:
        raise UsageError(
            f"--phases: {warm + sparse + ends:g} epochs of phases do not fit into {epochs:g}: more "
            "--epochs, or shorter phases"
        )
    turns = max(1, int((epochs - warm - ends + dense + 1e-9) / (sparse + dense)))
    starts = [(0.0, False)]
    for turn in range(turns):
        begin = warm + turn * (sparse + dense)
        starts.append((begin, True))
        # What the turns leave over goes to the last dense phase.
        starts.append((begin + sparse, False))
    starts.append((epochs - last_sparse, True))
    found = [Phase(int(at * horizon.per_epoch + 0.5), on) for at, on in starts]
    if any(b.first <= a.first for a, b in itertools.pairwise(found[1:])):
        raise UsageError(
            f"--phases: of {horizon.steps} steps a phase would have none: more --epochs, smaller "
            "--batch-size, or --phases"
        )
    return tuple(found[1:] if found[1].first == 0 else found)
