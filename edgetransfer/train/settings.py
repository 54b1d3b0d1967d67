"""All settings of one linear training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from edgetransfer.errors import UsageError
from edgetransfer.features import TrainView
from edgetransfer.heads import ClosedFormSolver, LBFGSSolver, SGDSettings
from edgetransfer.heads.feature_maps import MAPS, MapName
from edgetransfer.heads.selection import ClassWeights
from edgetransfer.metrics.conventions import Metric, MetricChoice, metric_of
from edgetransfer.paths import take_strings
from edgetransfer.reprs import short_repr
from edgetransfer.train import recipe
from edgetransfer.train.recipe import Recipe, check_recipe
from edgetransfer.types import Interpolation

Mode = Literal["cached", "online"]
Solver = Literal["auto", "ridge", "lda", "lbfgs", "sgd"]
SOLVERS: tuple[Solver, ...] = get_args(Solver)
FeatureMapChoice = Literal["auto"] | MapName

DEFAULT_EPOCHS = {"cached": 150, "online": 20}
LEARNING_RATE = 0.01
CHECKPOINT_SECONDS = 20.0
# What may differ between a run and its resumption without changing the result.
FREE_ON_RESUME = frozenset(
    ["workers", "cache_dir", "out", "checkpoint_seconds", "max_bad", "metric", "recipe", "report"]
)


@dataclass(frozen=True, kw_only=True)
class LinearTraining:
    """What to train on what, and how.

    By default L-BFGS on cached features, or 20 epochs of SGD on augmented views; the paper's
    own training has 150 of these (``recipe``).

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
        ``auto``: the best of ``ridge``, ``lda`` and their blend; see
        `edgetransfer.heads.ClosedFormSolver`. Or ``lbfgs``, or ``sgd``; all but SGD need
        ``cached``. ``auto`` cached, SGD online or by the paper's recipe, if None.
    recipe
        ``paper``: what is None is as in the paper (`edgetransfer.train.recipe`), and the report
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
    min_crop, flip
        Of the augmented views: the least share of the photo that a crop covers, and whether
        left and right may be exchanged (letters and digits do not allow it).
    metric
        Which accuracy counts: ``top1``, ``per-class``, or by the data set's name
        (`edgetransfer.metrics.conventions`). Both are reported.
    max_bad
        The share of images, 0 to 1, that may be unusable before the run stops.
    threads
        Of the engine and of linear algebra; one per core if None. It also sets ``workers``
        unless they are given.
    workers
        Decoding threads; never changes the result.
    cache_dir
        Where features are kept; the user's cache folder if None.
    checkpoint_seconds
        How much work at most a kill can cost; 20 if None.
    report
        Whether report.html is written at the end.
    """

    backbone: str
    data: Path
    out: Path
    test_data: Path | None = None
    mode: Mode = "cached"
    solver: Solver | None = None
    recipe: Recipe = "default"
    epochs: int | None = None
    batch_size: int = 64
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float = 5e-4
    l2: float | None = None
    penalty: float | None = None
    feature_map: FeatureMapChoice = "auto"
    class_weights: ClassWeights = "none"
    standardize: bool = False
    min_crop: float = 0.08
    flip: bool = True
    seed: int = 0
    val_fraction: float = 0.0
    max_bad: float = 0.05
    metric: MetricChoice = "auto"
    engine: str = "auto"
    threads: int | None = None
    workers: int | None = None
    cache_dir: Path | None = None
    features: str | None = None
    size: int | None = None
    resize: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Interpolation | None = None
    normalisation: str | None = None
    checkpoint_seconds: float | None = None
    report: bool = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        take_strings(self, "data", "out", "test_data", "cache_dir")
        object.__setattr__(self, "backbone", str(self.backbone))
        check_recipe(self.recipe)
        if self.metric not in get_args(MetricChoice):
            raise UsageError(
                f"--metric is one of {', '.join(get_args(MetricChoice))}, not {self.metric!r}"
            )
        if self.solver is None:
            cached = self.mode == "cached" and self.recipe != "paper"
            object.__setattr__(self, "solver", "auto" if cached else "sgd")
        if self.mode not in DEFAULT_EPOCHS:
            raise UsageError(f"mode is cached or online, not {self.mode!r}")
        if self.solver not in SOLVERS:
            raise UsageError(f"--solver is one of {', '.join(SOLVERS)}, not {self.solver!r}")
        if self.solver != "sgd" and self.mode == "online":
            raise UsageError(
                f"--solver {self.solver} needs all features at once: use --cached with it, or "
                "--online with --solver sgd"
            )
        self._check_closed_form()
        for name, least in (("epochs", 1), ("batch_size", 1), ("threads", 1), ("workers", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} must be at least {least}, not {value}")
        if self.seed < 0:
            raise UsageError(f"--seed must not be negative, but is {self.seed}")
        _ = self.sgd  # it checks its values
        LBFGSSolver(l2=self.l2)
        if not 0 < self.min_crop <= 1:
            raise UsageError(f"--min-crop is a share above 0 and up to 1, not {self.min_crop}")
        if not 0 <= self.max_bad <= 1:
            raise UsageError(f"--max-bad is a share between 0 and 1, not {self.max_bad}")

    def _check_closed_form(self) -> None:
        ClosedFormSolver(penalty=self.penalty, class_weights=self.class_weights)
        if self.feature_map not in ("auto", *MAPS):
            choices = ", ".join(("auto", *MAPS))
            raise UsageError(f"--feature-map is one of {choices}, not {self.feature_map!r}")
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
    def judged_by(self) -> Metric:
        """The accuracy that counts."""
        return metric_of(self.metric, Path(self.data))

    @property
    def sgd(self) -> SGDSettings:
        """The settings of SGD."""
        return SGDSettings(
            learning_rate=LEARNING_RATE if self.learning_rate is None else self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )

    def view(self, epoch: int) -> TrainView:
        """The augmented views of an epoch, from 0."""
        return TrainView(
            seed=self.seed,
            epoch=epoch,
            area=(self.min_crop, 1.0),
            flip=0.5 if self.flip else 0.0,
        )

    def to_config(self) -> dict[str, Any]:
        """The settings as TOML values; None where a default is chosen later."""
        values = asdict(self)
        backbone = Path(self.backbone)
        values["backbone"] = str(backbone.resolve()) if backbone.is_file() else self.backbone
        for name in ("data", "test_data", "out", "cache_dir"):
            path = values[name]
            values[name] = None if path is None else str(Path(path).resolve())
        for name in ("mean", "std"):
            values[name] = None if values[name] is None else list(values[name])
        values["epochs"] = self.n_epochs if self.solver == "sgd" else None
        values["learning_rate"] = self.sgd.learning_rate
        return values

    def difference(self, config: dict[str, Any], *, free: Sequence[str] = ()) -> str | None:
        """The first setting that differs from a saved configuration and would change the result.

        A setting that the configuration lacks has the default that stands here. ``free`` names
        settings that change nothing in this training.
        """
        usual = {field.name: field.default for field in fields(self)}
        for name, value in self.to_config().items():
            if name in FREE_ON_RESUME or name in free:
                continue
            if (before := config.get(name, usual[name])) != value:
                was = "not set" if before is None else before
                return f"{name} was {was} and is now {'not set' if value is None else value}"
        return None
