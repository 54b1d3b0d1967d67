"""What a stream learns by: one protocol, and the learners that keep it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from edgetransfer.heads import Honest, LinearHead
from edgetransfer.reports.stream import OfLearner
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.stream.learning.choosing_learner import ChoosingLearner
from edgetransfer.stream.learning.drift import PageHinkley
from edgetransfer.stream.learning.feature_learner import FeatureLearner
from edgetransfer.stream.learning.learner_state import Counts, LearnerState
from edgetransfer.stream.learning.pool import UnlabelledPool
from edgetransfer.stream.learning.prequential import Prequential
from edgetransfer.stream.learning.records import Kind, Record
from edgetransfer.stream.learning.solved_heads import SolvedHeads
from edgetransfer.stream.learning.statistics_learner import StatisticsLearner
from edgetransfer.types import Float32Array


class Learner(Protocol):
    """Predicts, scores and learns feature rows; its state is a function of its records alone.

    Attributes
    ----------
    on_batch
        Called after every so many learned samples.
    """

    dimension: int
    settings: LearningSettings
    scores: Prequential
    drift: PageHinkley
    on_batch: Callable[[Any], None] | None

    @property
    def counts(self) -> Counts:
        """How far it is."""

    @property
    def loss(self) -> float:
        """Of the last step; not a number where there was none."""

    @property
    def head(self) -> LinearHead:
        """The head of all that was learned; it may have no class yet."""

    @property
    def newest(self) -> LinearHead:
        """The head to predict by: as above, or a fraction of a second older."""

    @property
    def heads(self) -> SolvedHeads | None:
        """What solves `head`, and may do so in any thread; None where it is at hand."""

    @property
    def honest(self) -> Honest | None:
        """What is known of `head` on samples that it is fitted to, but was scored without."""

    @property
    def waiting(self) -> int:
        """Labelled samples that wait for others before they are learned."""

    @property
    def classes(self) -> list[str]:
        """Their names, in the order of their birth."""

    @property
    def class_counts(self) -> dict[str, int]:
        """Learned samples by class."""

    def has_class(self, name: str) -> bool:
        """Whether a class was born, or is about to be."""

    @property
    def pool(self) -> UnlabelledPool:
        """Samples that have no label yet."""

    @property
    def ready(self) -> bool:
        """Whether the next record is taken in at once; if not, `apply` waits for a fit."""

    @property
    def fitting(self) -> bool:
        """Whether `state` waits for a fit."""

    def recorded(
        self, kind: Kind, rows: Float32Array | None, predicted: str | None
    ) -> tuple[Float32Array | None, str | None]:
        """Rows and prediction that the record of an offer has.

        The rows given are its own, or, of a label, those of the sample that it is for.
        """

    def apply(self, record: Record) -> None:
        """Take in the next record of the journal."""

    def standing(self) -> OfLearner:
        """What is peculiar to this learner, as JSON values."""

    def state(self) -> LearnerState:
        """Everything that a checkpoint needs."""

    def restore(self, state: LearnerState) -> None:
        """Go on from what `state` returned."""

    def close(self) -> None:
        """Let go of what it does beside."""


def learner_for(dimension: int, settings: LearningSettings) -> Learner:
    """The learner that settings name; see `LearningSettings.resolved`."""
    if settings.learner == "statistics":
        return StatisticsLearner(dimension, settings)
    if settings.learner == "auto":
        return ChoosingLearner(dimension, settings)
    return FeatureLearner(dimension, settings)
