"""All settings of one linear training."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings import recipe
from edgetransfer.settings.config import differs, dump, located
from edgetransfer.settings.forms import AUTOMATIC
from edgetransfer.settings.option import NoOption, Opt, settle
from edgetransfer.settings.sgd import SGDSettings
from edgetransfer.settings.shared import (
    DEFAULT_BACKBONE,
    MAX_BAD,
    Augmentation,
    BackboneName,
    BackboneReading,
    BatchSize,
    Data,
    Descent,
    Engine,
    LearningRate,
    Machine,
    MaxBad,
    Metric,
    Recipe,
    Seed,
    TestData,
)

Mode = Literal["cached", "online"]
Solver = Literal["auto", "ridge", "lda", "lbfgs", "sgd"]
MapName = Literal["raw", "l2", "power", "power-l2", "relu"]
ClassWeights = Literal["none", "balanced"]
FeatureMapChoice = Literal["auto"] | MapName

DEFAULT_EPOCHS = {"cached": 150, "online": 20}
LEARNING_RATE = 0.01
CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class LinearTraining(Descent, Augmentation, Machine, BackboneReading):
    """What to train on what, and how.

    By default the best closed form on cached features; ``mode="online"`` is 20 epochs of SGD on
    augmented views, and the paper's own training has 150 of these (``recipe="paper"``).

    How the backbone is read, the machine, the views and SGD have their parameters in
    `BackboneReading`, `Machine`, `Augmentation` and `Descent` of `edgetransfer.settings.shared`;
    all are given here by name.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone.
    data, test_data
        Class folders or a manifest; see `edgetransfer.data.load_data`.
    out
        The run folder.
    mode
        ``cached``: each image goes through the backbone once, in the eval view. ``online``:
        each epoch draws new augmented views.
    solver
        ``auto``: the best of ``ridge``, ``lda``, softmax regression stopped early, and blends; see
        `edgetransfer.heads.ClosedFormSolver`. Or ``lbfgs``, or ``sgd``; all but SGD need
        ``cached``. ``auto`` cached, SGD online or by the paper's recipe, if None.
    recipe
        ``paper``: what is None is as in the paper (`edgetransfer.settings.recipe`), and the report
        says what is not.
    epochs
        Of SGD; 150 cached or by the paper's recipe, 20 online if None.
    learning_rate
        Of SGD; 0.01 if None.
    batch_size
        Of SGD and of the engine.
    l2
        Strength of the L-BFGS penalty; chosen on held-out training images if None.
    penalty
        Of ridge and lda, in units of the mean scatter of a feature; chosen by leave-one-out if
        None.
    feature_map
        What is done to features before ridge and lda, of `edgetransfer.heads.FeatureMap`;
        ``auto`` chooses by leave-one-out.
    class_weights
        Of ridge and lda: ``balanced`` makes each class count alike, however many photos it has.
    standardize
        Scale features to zero mean and unit variance over the training images while training;
        folded into the saved head.
    seed
        Of everything that is drawn.
    val_fraction
        The share of each class that is held out for validation, where there is no such split.
    max_bad
        The share of images, 0 to 1, that may be unusable before the run stops.
    metric
        Which accuracy counts: ``top1``, ``per-class``, or by the data set's name
        (`edgetransfer.metrics.conventions`). Both are reported.
    engine
        Of `edgetransfer.settings.shared.ENGINES`; ``auto`` takes the fastest that runs here.
    checkpoint_seconds
        How much work at most a kill can cost; 20 if None.
    report
        Whether report.html is written at the end.

    Examples
    --------
    >>> from edgetransfer import LinearTraining
    >>> training = LinearTraining(data="photos", out="run", mode="online")
    >>> training.solver, training.n_epochs
    ('sgd', 20)
    """

    data: Data
    out: Annotated[Path, Opt("The run folder to make.", metavar="RUN", flag="--out -o", free=True)]
    backbone: BackboneName = DEFAULT_BACKBONE
    test_data: TestData = None
    mode: Annotated[
        Mode,
        Opt(
            "Features once without augmentation, or new augmented views each epoch.",
            flag="--cached/--online",
        ),
    ] = "cached"
    solver: Annotated[
        Solver | None,
        Opt(
            "auto: the best of ridge, lda, early softmax regression and blends. Default: auto with "
            "--cached, else sgd."
        ),
    ] = None
    recipe: Recipe = "default"
    epochs: Annotated[
        int | None,
        Opt(
            "Of SGD. Default: 150 cached, 20 online, 150 by the paper's recipe.",
            metavar="N",
            least=1,
        ),
    ] = None
    batch_size: BatchSize = 64
    learning_rate: LearningRate = None
    l2: Annotated[
        float | None,
        Opt(
            "Penalty of L-BFGS; auto chooses on held-out training images.",
            metavar="auto|X",
            parse=AUTOMATIC,
            above=0,
        ),
    ] = None
    penalty: Annotated[
        float | None,
        Opt(
            "Of ridge and lda, in units of a feature's mean scatter; auto chooses by "
            "leave-one-out.",
            metavar="auto|X",
            parse=AUTOMATIC,
            above=0,
        ),
    ] = None
    feature_map: Annotated[
        FeatureMapChoice, Opt("What is done to features before ridge and lda.")
    ] = "auto"
    class_weights: Annotated[
        ClassWeights, Opt("Of ridge and lda: balanced makes each class count alike.")
    ] = "none"
    standardize: Annotated[bool, Opt("Standardise features; folded into the head.")] = False
    seed: Seed = 0
    val_fraction: Annotated[
        float,
        Opt("Share of each class to hold out for validation, if there is no val/.", metavar="X"),
    ] = 0.0
    max_bad: MaxBad = MAX_BAD
    metric: Metric = "auto"
    engine: Engine = "auto"
    checkpoint_seconds: Annotated[
        float | None, NoOption("it changes only what a kill can cost", free=True)
    ] = None
    report: Annotated[
        bool, Opt("Write report.html, a page with photos, at the end.", free=True)
    ] = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if self.solver is None:
            cached = self.mode == "cached" and self.recipe != "paper"
            object.__setattr__(self, "solver", "auto" if cached else "sgd")
        if self.solver != "sgd" and self.mode == "online":
            raise UsageError(
                f"--solver {self.solver} needs all features at once: use --cached with it, or "
                "--online with --solver sgd"
            )
        self._check_closed_form()
        _ = self.sgd  # it checks its values

    def _check_closed_form(self) -> None:
        if self.standardize and self.feature_map not in ("auto", "raw"):
            raise UsageError(
                f"--standardize is folded into the head, which --feature-map {self.feature_map} "
                "does not allow; leave out one of them"
            )
        if self.solver in ("lbfgs", "sgd"):
            for name, usual in (
                ("penalty", None),
                ("feature_map", "auto"),
                ("class_weights", "none"),
            ):
                if getattr(self, name) != usual:
                    option = name.replace("_", "-")
                    raise UsageError(f"--{option} is of --solver auto, ridge and lda")

    @property
    def n_epochs(self) -> int:
        """Epochs of SGD."""
        if self.epochs is not None:
            return self.epochs
        return recipe.EPOCHS if self.recipe == "paper" else DEFAULT_EPOCHS[self.mode]

    @property
    def departures(self) -> list[str]:
        """In what it is not the paper's training of a linear head; nothing if it is not to be."""
        if self.recipe != "paper":
            return []
        values = {**asdict(self), **asdict(self.sgd), "epochs": self.n_epochs}
        return recipe.departures(values, recipe.LINEAR)

    @property
    def sgd(self) -> SGDSettings:
        """The settings of SGD."""
        return SGDSettings(
            learning_rate=LEARNING_RATE if self.learning_rate is None else self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )

    def to_config(self) -> dict[str, Any]:
        """The settings as the flat table of ``config.toml``."""
        table = dump(self)
        table["backbone"] = located(self.backbone)
        table["learning_rate"] = self.sgd.learning_rate
        if self.solver == "sgd":
            table["epochs"] = self.n_epochs
        else:
            table.pop("epochs", None)
        return table

    def difference(self, config: dict[str, Any], *, free: Collection[str] = ()) -> str | None:
        """The first setting that differs from a saved configuration and would change the result.

        ``free`` names settings that change nothing in this training.
        """
        return differs(type(self), self.to_config(), config, free=free)
