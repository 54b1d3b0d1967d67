"""What every policy is asked: when masks change, what the gradient sees, how momentum fares."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from edgetransfer.pretrain.compressions import Compression, NOfM, TopK, check_reachable
from edgetransfer.pretrain.network import Tensors
from edgetransfer.pretrain.objectives import Batch
from edgetransfer.pretrain.reachability import check_connected
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.settings.sparsify import Pattern


class Policy:
    """Plain SGD; what a method does otherwise, its class says.

    Parameters
    ----------
    settings
        Checked: all options are the policy's own.
    training
        Before its first step.
    """

    def __init__(self, settings: Pretraining, training: Training) -> None:
        self.settings = settings
        self.training = training
        self.net = training.net

    def before_step(self, step: int) -> None:
        """Change masks, or do nothing; asked once before each step, from 0."""

    def step(self, step: int, batch: Batch) -> float:
        """Learn a batch; returns the loss before."""
        loss = self.training.gradients(batch)
        self.training.descend(self.rate(step))
        return loss

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.training.horizon.rate(*self.place(step))

    def place(self, step: int) -> tuple[int, int]:
        """Where on a schedule of the learning rate a step is, and how long that is."""
        return step, self.training.horizon.steps

    def phase(self, step: int) -> str:
        """What is going on, in a word."""
        del step
        return "sparse" if self.net.masks else "dense"

    def cost(self, full: float, active: float) -> float:
        """Multiply-adds of one image in training (thesis, A.2.3).

        Parameters
        ----------
        full, active
            Of one inference with all weights, and with those that are not zero.
        """
        return 3 * active if self.net.masks else 2 * active + full

    def finish(self) -> None:
        """Make the network of the last step the result."""

    @property
    def is_pruned_at_the_end(self) -> bool:
        """Whether `finish` prunes, so that batch-norm is to be tuned."""
        return False

    @property
    def cuts_channels(self) -> bool:
        """Whether channels without weights are cut out of the result."""
        return False

    def shown(self) -> Mapping[str, Tensor]:
        """Weights that the network has in effect, where they are not those that are trained."""
        return {}

    def state(self) -> Tensors:
        """What a resumption needs beside the training's own state."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        del state

    def compress(self, compression: Compression, scores: Mapping[str, Tensor]) -> None:
        """Keep what scores highest.

        Raises
        ------
        DataError
            If nothing of an image would arrive at the features.
        """
        masks = compression.masks(scores)
        if masks is not None:
            check_connected(self.net, masks)
            self.training.compress(masks)


def target_of(settings: Pretraining, training: Training) -> Compression:
    """The compression that ``--sparsity``, ``--distribution`` and ``--pattern`` ask for.

    Raises
    ------
    UsageError
        If it cannot be had in this network.
    """
    pattern = Pattern.parse(settings.option("pattern", "unstructured"))
    found: Compression
    if pattern.keep is not None:
        found = NOfM(pattern=pattern, layers=training.net.layers)
    else:
        distribution = settings.option("distribution", "global")
        found = TopK(sparsity=settings.option("sparsity"), distribution=distribution)
    check_reachable(found, training.net.prunable)
    return found
