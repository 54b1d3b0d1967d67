"""The one epoch of SGD: training adds checkpoints to it, the benchmark a stopwatch."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from edgetransfer.heads import SGDSettings
from edgetransfer.metrics import StageClock
from edgetransfer.train.checkpoint import Arrays
from edgetransfer.train.epochs import EpochSource
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Float32Array, IntArray


class Solver(Protocol):
    """What learns one batch after the other."""

    @property
    def settings(self) -> SGDSettings:
        """Its learning rate and schedule."""

    def step(self, features: Float32Array, labels: IntArray, learning_rate: float) -> float:
        """Learn (n, D) features and (n,) labels; returns the mean loss before the step."""

    def state(self) -> Arrays:
        """Everything that a checkpoint needs to go on bit for bit."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """One batch that was learned.

    Parameters
    ----------
    images
        How many it had, those that could not be used included.
    learned
        How many of them were learned.
    loss
        The sum of their losses before the step.
    """

    images: int
    learned: int
    loss: float


def learn_epoch(
    source: EpochSource,
    solver: Solver,
    epoch: int,
    order: IntArray,
    *,
    epochs: int,
    skipped: SkippedImages,
    clock: StageClock,
    stage: str = "head",
) -> Generator[Learned, None, None]:
    """Learn an epoch's batches, one each time that the next is asked for.

    To be closed by who stops before its end, so that decoding ahead stops too.

    Parameters
    ----------
    epoch, epochs
        Which one, from 0, of how many: both decide the learning rate.
    order
        The items to visit, for the rest of the epoch.
    stage
        Of the clock: what the steps count as.

    Raises
    ------
    DataError
        If too many images cannot be used.
    """
    rate = solver.settings.rate(epoch, epochs)
    batches = source.batches(epoch, order)
    try:
        for batch in batches:
            for sample, reason in batch.failed:
                skipped.add(sample, reason)
            learned, loss = len(batch.labels), 0.0
            if learned:
                with clock.measure(stage):
                    loss = solver.step(batch.features, batch.labels, rate)
            yield Learned(images=learned + len(batch.failed), learned=learned, loss=loss * learned)
    finally:
        batches.close()
