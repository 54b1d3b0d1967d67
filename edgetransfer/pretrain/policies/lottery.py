"""LTH-T: Chen et al., "The Lottery Tickets Hypothesis for Supervised and Self-Supervised
Pre-training in Computer Vision Models", CVPR 2021; Frankle et al., ICML 2020; thesis 2.2.2.

Iterative magnitude pruning: the network is trained densely; then ``rounds`` times the smallest
weights go, as large a share of what is left each time, the others are rewound to what they were
early in the dense training, and what is left is trained anew, with its own warm-up and learning
rate. Each round is as long as the dense training; all share ``epochs``. The last mask is put on the
weights that the *dense* training ended with: it is a mask for finetuning, not a finished network.
Guaranteed: after round r a share of 1 - (1 - sparsity)^(r / rounds) is pruned, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from edgetransfer.errors import UsageError
from edgetransfer.pretrain.compressions import TopK
from edgetransfer.pretrain.network import Tensors
from edgetransfer.pretrain.policies.gradual import alive_first
from edgetransfer.pretrain.policies.policy import Policy, target_of
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.pretrain import Pretraining


class LotteryTickets(Policy):
    """Rounds of pruning and rewinding; the mask on the dense weights."""

    def __init__(self, settings: Pretraining, training: Training) -> None:
        super().__init__(settings, training)
        target = target_of(settings, training)
        assert isinstance(target, TopK)
        self.target = target
        self.rounds: int = settings.option("rounds")
        self.length = training.horizon.steps // (self.rounds + 1)
        self.rewind_at = round(settings.option("rewind") * self.length)
        if self.length < 2:
            raise UsageError(
                f"--rounds {self.rounds}: {training.horizon.steps} steps are too few for as many "
                "rounds and the dense training before them; more --epochs"
            )
        self.early: Tensors = {}
        self.trained: Tensors = {}

    def place(self, step: int) -> tuple[int, int]:
        """See `Policy.place`: each round has the whole schedule."""
        number = min(step // self.length, self.rounds)
        begun = number * self.length
        last = number == self.rounds
        return step - begun, self.training.horizon.steps - begun if last else self.length

    def before_step(self, step: int) -> None:
        """See `Policy.before_step`."""
        if step == self.rewind_at:
            self.early = self.net.values
        number, within = divmod(step, self.length)
        if within or not 0 < number <= self.rounds:
            return
        if number == 1:
            self.trained = self.net.values
        self._prune(number)
        self.net.load(self.early)
        self.net.hold()
        self.training.reset_momentum()

    def _prune(self, number: int) -> None:
        left = (1 - self.target.sparsity) ** (number / self.rounds)
        wanted = TopK(sparsity=1 - left, distribution=self.target.distribution)
        self.compress(wanted, alive_first(self.net.prunable, self.net.masks))

    def finish(self) -> None:
        """Put the mask on the weights of the dense training."""
        masks = self.net.masks
        self.net.load(self.trained)
        self.net.set_masks({name: mask.bool() for name, mask in masks.items()})

    @property
    def is_pruned_at_the_end(self) -> bool:
        """See `Policy.is_pruned_at_the_end`."""
        return True

    def state(self) -> Tensors:
        """See `Policy.state`."""
        parts = (("early", self.early), ("trained", self.trained))
        return {f"{part}/{n}": value for part, values in parts for n, value in values.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See `Policy.restore`."""
        for name, value in state.items():
            part, _, key = name.partition("/")
            (self.early if part == "early" else self.trained)[key] = value.clone()
