"""Two learners on one stream, of which the better one answers.

Both are given the same records and are tested on every sample before it is learned. What each was
right at is a function of the records, and so is which one answers: a record says what the learner
on statistics took its sample for, and the one by steps is asked anew when its batch is learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgetransfer.heads import Honest, LinearHead
from edgetransfer.reports.stream import OfLearner
from edgetransfer.settings.learning import LearningSettings
from edgetransfer.stream.learning.drift import PageHinkley
from edgetransfer.stream.learning.feature_learner import FeatureLearner
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.learner_state import Counts, LearnerState
from edgetransfer.stream.learning.paired_choice import PairedChoice
from edgetransfer.stream.learning.pool import UnlabelledPool
from edgetransfer.stream.learning.prequential import Prequential
from edgetransfer.stream.learning.records import Kind, Learned, Record
from edgetransfer.stream.learning.solved_heads import SolvedHeads
from edgetransfer.stream.learning.statistics_learner import StatisticsLearner
from edgetransfer.types import Float32Array, IntArray

PARTS = ("statistics", "replay")  # in a checkpoint, before a slash


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A sample that waits for its batch, and so for what the learner by steps takes it for.

    Parameters
    ----------
    key
        Of the sample, in hexadecimal digits.
    label
        A class name.
    guess
        What the learner on statistics took it for.
    stepped
        Whether the learner by steps answered when it came.
    """

    key: str
    label: str
    guess: str | None
    stepped: bool


class ChoosingLearner:
    """Learns by statistics and by steps, and predicts by what `PairedChoice` chooses.

    Parameters
    ----------
    dimension
        The length D of a row.
    settings
        How to learn.
    """

    def __init__(self, dimension: int, settings: LearningSettings) -> None:
        self.dimension = dimension
        self.settings = settings
        self.exact = StatisticsLearner(dimension, settings)
        self.stepping = FeatureLearner(dimension, settings)
        self.stepping.on_scored = self._score
        self.choice = PairedChoice(settings.window)
        self.scores = Prequential(settings.window, settings.fading)
        self.drift = PageHinkley()
        self.on_batch: Callable[[Any], None] | None = None
        self._tested: list[Tested] = []

    # Who answers

    @property
    def head(self) -> LinearHead:
        """The head of all that was learned, of the learner that answers."""
        return self.stepping.head if self.choice.second else self.exact.head

    @property
    def newest(self) -> LinearHead:
        """The head to predict by: as above, or a fraction of a second older."""
        return self.stepping.newest if self.choice.second else self.exact.newest

    @property
    def heads(self) -> SolvedHeads | None:
        """What solves `head`, and may do so in any thread; None where it is at hand."""
        return None if self.choice.second else self.exact.heads

    @property
    def honest(self) -> Honest | None:
        """What is known of `head` on samples that it is fitted to, but was scored without."""
        return None if self.choice.second else self.exact.honest

    # What both agree on

    @property
    def counts(self) -> Counts:
        """How far it is."""
        stepped = self.stepping.counts
        return replace(self.exact.counts, refits=stepped.refits, adopted=stepped.adopted)

    @property
    def loss(self) -> float:
        """Of the last step."""
        return self.stepping.loss

    @property
    def classes(self) -> list[str]:
        """Their names, in the order of their birth."""
        return self.exact.classes

    @property
    def class_counts(self) -> dict[str, int]:
        """Learned samples by class."""
        return self.exact.class_counts

    @property
    def waiting(self) -> int:
        """Labelled samples that wait for the next steps."""
        return self.stepping.waiting

    def has_class(self, name: str) -> bool:
        """Whether a class was born."""
        return self.exact.has_class(name)

    @property
    def pool(self) -> UnlabelledPool:
        """Samples that have no label yet."""
        return self.exact.pool

    @property
    def ready(self) -> bool:
        """Whether the next record can be taken in at once; see `SteppingLearner`."""
        return self.stepping.ready

    @property
    def fitting(self) -> bool:
        """Whether a refit is under way, for which `state` would wait."""
        return self.stepping.fitting

    # Learning

    def recorded(
        self, kind: Kind, rows: Float32Array | None, predicted: str | None
    ) -> tuple[Float32Array | None, str | None]:
        """Rows and prediction that the record of an offer has: that of the statistics, always."""
        rows, guess = self.exact.recorded(kind, rows, predicted)
        if self.choice.second and guess is not None and kind == "sample" and rows is not None:
            guess = self.exact.predicted(rows)
        return rows, guess

    def apply(self, record: Record) -> None:
        """Take in the next record of the journal."""
        batches = self.exact.counts.batches
        if record.label is not None and record.kind in ("sample", "label"):
            self._tested.append(
                Tested(
                    key=id_key(record.id).hex(),
                    label=record.label,
                    guess=record.predicted,
                    stepped=self.choice.second,
                )
            )
        self.exact.apply(record)
        if record.kind == "relabel":
            assert record.label is not None
            assert record.was is not None
            self._relabel(id_key(record.id), record.was, record.label)
        if record.kind in ("relabel", "gone"):
            self.stepping.passed(record)
        else:
            self.stepping.apply(record)
        if self.on_batch is not None and self.exact.counts.batches > batches:
            self.on_batch(self)

    def _relabel(self, key: bytes, old: str, label: str) -> None:
        self.stepping.relabel(key, old, label)
        name = key.hex()
        self._tested = [replace(t, label=label) if t.key == name else t for t in self._tested]

    def _score(self, predicted: IntArray) -> None:
        """Score the samples of a batch, by both learners and by the one that answered."""
        tested, self._tested = self._tested, []
        self.scores.grow(len(self.classes))
        names = self.stepping.classes
        for sample, place in zip(tested, predicted.tolist(), strict=True):
            stepped = names[place] if place >= 0 else None
            said = stepped if sample.stepped else sample.guess
            index = self.exact.memory.index
            guess = -1 if said is None else index.get(said, -1)
            self.scores.update(np.array([index[sample.label]]), np.array([guess]))
            self.drift.update(said != sample.label)
            if sample.guess is not None and stepped is not None:  # both had a head to be asked
                self.choice.update(sample.guess == sample.label, stepped == sample.label)

    def close(self) -> None:
        """Let go of the threads."""
        self.exact.close()
        self.stepping.close()

    # Forgetting

    def forget(
        self, samples: dict[bytes, Learned | None], classes: frozenset[str] = frozenset()
    ) -> int:
        """Take samples away: exactly from the statistics, and by a new fit from the other.

        Parameters as of `StatisticsLearner.forget`.
        """
        before = self.classes
        removed = self.exact.forget(samples, classes)
        places = self.exact.memory.index
        self.scores.grow(len(before))
        if classes:
            self.scores.relabel([places.get(name, -1) for name in before])
        gone = {key.hex() for key in samples}
        self._tested = [t for t in self._tested if t.key not in gone and t.label not in classes]
        self.stepping.remove(frozenset(samples), classes)
        return removed

    # Reports and checkpoints

    def standing(self) -> OfLearner:
        """What is peculiar to this learner, as JSON values."""
        return {
            **self.exact.standing(),
            **self.stepping.standing(),
            "answers": PARTS[self.choice.second],
            "switches": self.choice.switches,
            "test_then_train": {
                "statistics": self.exact.scores.total,
                "replay": self.stepping.scores.total,
            },
        }

    def state(self) -> LearnerState:
        """Everything that a checkpoint needs; waits for a refit that is under way."""
        parts = {name: learner.state() for name, learner in self._parts()}
        arrays = {
            f"{part}/{name}": array
            for part, state in parts.items()
            for name, array in state.arrays.items()
        }
        arrays |= {f"scores.{name}": array for name, array in self.scores.state().items()}
        arrays["pairs"] = self.choice.state()
        values: dict[str, Any] = {
            "learner": "auto",
            "dimension": self.dimension,
            "counts": vars(self.counts).copy(),
            "classes": list(self.classes),
            "drift": self.drift.state(),
            "stepped": self.choice.second,
            "switches": self.choice.switches,
            "tested": [asdict(sample) for sample in self._tested],
            **{part: state.values for part, state in parts.items()},
        }
        return LearnerState(arrays=arrays, values=values)

    def restore(self, state: LearnerState) -> None:
        """Go on from what `state` returned."""
        values = state.values
        for name, learner in self._parts():
            learner.restore(part_of(state, name))
        self.scores.restore(state.parts()["scores"])
        self.drift = PageHinkley(**values["drift"])
        self.choice.restore(
            state.arrays["pairs"], second=values["stepped"], switches=values["switches"]
        )
        self._tested = [Tested(**sample) for sample in values["tested"]]

    def _parts(self) -> tuple[tuple[str, StatisticsLearner], tuple[str, FeatureLearner]]:
        return (PARTS[0], self.exact), (PARTS[1], self.stepping)


def part_of(state: LearnerState, name: str) -> LearnerState:
    """The state of one of the two learners in that of both."""
    start = f"{name}/"
    arrays = {k.removeprefix(start): v for k, v in state.arrays.items() if k.startswith(start)}
    return LearnerState(arrays=arrays, values=state.values[name])
