"""How a stream is learned, and how its run is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.forms import AUTOMATIC, BYTES
from edgetransfer.settings.option import NoOption, Opt, settings_of, settle

LearnerName = Literal["statistics", "replay", "auto"]
REPLAYED = frozenset(  # settings that the other learner has no use for
    [
        *("batch_size", "replay", "replay_size", "learning_rate", "momentum", "weight_decay"),
        *("class_weights", "reservoir_bytes", "refit_every", "refit_rows", "l2"),
    ]
)

_LEARNING, _KEEPING = "Learning", "Keeping"


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """How a stream is learned; none of these may change between a run and its continuation.

    Parameters
    ----------
    learner
        ``statistics``: exact sums of features and of their products, from which the head is
        solved, so that their order has no influence. ``replay``: steps of SGD on new and
        remembered rows. ``auto``: both, at the cost of both; that one answers which was right more
        often on the last ``window`` samples before they were learned: replay once it is ahead by
        more than chance explains, until statistics have made up for it. None: as the run was begun
        with; a new one by statistics, unless some of the settings are of ``replay`` alone.
    recent
        Of ``statistics``: the head knows the last so many samples alone, exactly, for what changes
        with time; all if None. Their rows are kept: 4 D bytes a view and sample.
    batch_size
        Labelled samples that ``replay`` predicts, scores and then learns together. It counts
        samples, so how fast they arrive has no influence on the result, unless they pause: see
        `KeepingSettings.flush_seconds`.
    replay
        Steps of SGD per batch: the first on the new samples and on remembered ones, the others
        on remembered ones alone.
    replay_size
        Remembered rows in each step, drawn class by class.
    views
        Augmented views of each image that are learned; the eval view alone if 0.
    class_weights
        Whether a new sample counts by the inverse of its class's frequency. Remembered rows are
        drawn balanced in any case.
    reservoir_bytes
        Memory of the remembered features.
    refit_every
        Labelled samples before the first L-BFGS refit; the distance doubles each time, up to
        64 times this. 0 for none.
    refit_rows
        Rows of the reservoir that one refit learns at most.
    l2
        Penalty of the refits; the first one chooses it on held-out rows if None.
    pool_bytes
        Memory of the features of unlabelled samples; the oldest leave.
    window
        Samples of the sliding accuracy.
    fading
        How much of its weight a scored sample keeps per later sample, in the fading accuracy.

    Examples
    --------
    >>> from edgetransfer import LearningSettings
    >>> LearningSettings(views=2, seed=7)
    LearningSettings(views=2, seed=7)
    """

    learner: Annotated[
        LearnerName | None,
        Opt(
            "Solve the head from exact sums, whatever the order; step by SGD, with memory; or do "
            "both, and answer by the one that is right more often.",
            panel=_LEARNING,
        ),
    ] = None
    recent: Annotated[
        int | None,
        Opt(
            "Of statistics: know the last N samples alone, of what changes. Default: all.",
            metavar="N",
            panel=_LEARNING,
            least=2,
        ),
    ] = None
    batch_size: Annotated[
        int,
        Opt(
            "Of replay: labelled samples scored and learned at a time.",
            metavar="N",
            panel=_LEARNING,
            least=1,
        ),
    ] = 32
    replay: Annotated[
        int,
        Opt(
            "SGD steps per batch, all of them with remembered features.",
            metavar="N",
            panel=_LEARNING,
            least=1,
        ),
    ] = 8
    replay_size: Annotated[int, NoOption("--replay is the one to turn")] = 64
    learning_rate: Annotated[float, Opt("Of replay.", metavar="X", panel=_LEARNING)] = 0.01
    momentum: Annotated[float, Opt("Of replay.", metavar="X", panel=_LEARNING)] = 0.9
    weight_decay: Annotated[float, Opt("Of replay.", metavar="X", panel=_LEARNING)] = 5e-4
    views: Annotated[
        int,
        Opt(
            "Augmented views of each image to learn; 0 for the eval view alone.",
            metavar="N",
            panel=_LEARNING,
            least=0,
        ),
    ] = 0
    class_weights: Annotated[
        bool, Opt("Of replay: new samples of rare classes count more.", panel=_LEARNING)
    ] = False
    reservoir_bytes: Annotated[
        int,
        Opt(
            "Of replay: memory of remembered features, such as 64M.",
            metavar="BYTES",
            panel=_LEARNING,
            flag="--reservoir",
            parse=BYTES,
            least=1,
        ),
    ] = 64 * 2**20
    refit_every: Annotated[
        int,
        Opt(
            "Samples to the first L-BFGS refit; the distance doubles. 0 for none.",
            metavar="N",
            panel=_LEARNING,
            least=0,
        ),
    ] = 1024
    refit_rows: Annotated[int, NoOption("it bounds the time of a refit")] = 4096
    l2: Annotated[
        float | None,
        Opt("Penalty of the refits.", metavar="auto|X", panel=_LEARNING, parse=AUTOMATIC, above=0),
    ] = None
    pool_bytes: Annotated[int, NoOption("nobody has had to change it")] = 16 * 2**20
    window: Annotated[int, NoOption("of a number that is shown, not of what is learned")] = 1000
    fading: Annotated[float, NoOption("of a number that is shown, not of what is learned")] = 0.999
    seed: Annotated[int, Opt(metavar="N", panel=_LEARNING, least=0)] = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        for name, least in (
            ("replay_size", 1),
            ("refit_rows", 2),
            ("pool_bytes", 0),
            ("window", 1),
        ):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.fading < 1:
            raise UsageError(f"fading lies between 0 and 1, not {self.fading}")
        stepping = self.learner == "replay" or (self.learner is None and bool(self._of_replay))
        if self.recent is not None and stepping:
            raise UsageError("--recent: of --learner statistics; replay forgets by itself")
        if self.learner == "statistics" and (odd := self._of_replay):
            raise UsageError(
                f"{', '.join(odd)}: of --learner replay; statistics need no such setting"
            )

    @property
    def _of_replay(self) -> list[str]:
        """The settings of ``replay`` alone that are not as they usually are."""
        return [
            setting.flag
            for setting in settings_of(type(self))
            if setting.name in REPLAYED and getattr(self, setting.name) != setting.default
        ]

    def resolved(self, before: Mapping[str, Any] | None) -> LearningSettings:
        """The same with a learner.

        Parameters
        ----------
        before
            The settings that the run was begun with; None if it is new. Earlier versions had
            ``replay`` alone, and did not name it.
        """
        if self.learner is not None:
            return self
        usual: LearnerName = "replay" if self._of_replay else "statistics"
        return replace(self, learner=usual if before is None else before.get("learner", "replay"))


@dataclass(frozen=True, kw_only=True)
class KeepingSettings:
    """How a run is kept on disk; these may change at every start.

    Parameters
    ----------
    journal_bytes
        Disk that the journal may take; what a checkpoint covers is deleted beyond that.
    checkpoint_seconds
        The time between checkpoints; a restart replays what came after the last. One that takes
        long, of many classes, waits until learning took four times as long.
    checkpoints
        How many are kept, for `rollback`.
    flush_seconds
        How long a labelled sample waits for a full batch while nothing else comes; then it is
        learned with those that there are.
    max_classes
        Samples of further classes are refused: each class takes memory and time for good.

    Examples
    --------
    >>> from edgetransfer import KeepingSettings
    >>> KeepingSettings(checkpoints=10).checkpoint_seconds
    60.0
    """

    journal_bytes: Annotated[
        int,
        Opt(
            "Disk that the journal may take.",
            metavar="BYTES",
            panel=_KEEPING,
            parse=BYTES,
            least=2**16,
        ),
    ] = 256 * 2**20
    checkpoint_seconds: Annotated[
        float,
        Opt(
            "Between checkpoints; a restart replays what came after the last.",
            metavar="X",
            panel=_KEEPING,
            least=0,
        ),
    ] = 60.0
    checkpoints: Annotated[
        int, Opt("To keep, for rollback.", metavar="N", panel=_KEEPING, least=1)
    ] = 5
    flush_seconds: Annotated[float, NoOption("a second is little to wait, and enough")] = 1.0
    max_classes: Annotated[
        int,
        Opt("Samples of further classes are refused.", metavar="N", panel=_KEEPING, least=1),
    ] = 10_000

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if self.flush_seconds < 0:
            raise UsageError("the time that a sample waits cannot be negative")
