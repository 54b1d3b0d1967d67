"""All settings of one linear training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from edgetransfer.errors import UsageError
from edgetransfer.features import TrainView
from edgetransfer.heads import LBFGSSolver, SGDSettings
from edgetransfer.types import Interpolation

Mode = Literal["cached", "online"]
Solver = Literal["sgd", "lbfgs"]

DEFAULT_EPOCHS = {"cached": 150, "online": 20}
# What may differ between a run and its resumption without changing the result.
FREE_ON_RESUME = frozenset(["workers", "cache_dir", "out", "checkpoint_seconds", "max_bad"])


@dataclass(frozen=True, kw_only=True)
class LinearTraining:
    """What to train on what, and how; the defaults are the paper's where it has any.

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
        ``sgd`` or ``lbfgs``; L-BFGS needs ``cached``.
    epochs
        Of SGD; 150 cached, 20 online if None.
    batch_size
        Of SGD and of the engine.
    l2
        Strength of the L-BFGS penalty; chosen on held-out training images if None.
    standardize
        Scale features to zero mean and unit variance over the training images while training;
        folded into the saved head.
    min_crop, flip
        Of the augmented views: the least share of the photo that a crop covers, and whether
        left and right may be exchanged (letters and digits do not allow it).
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
        How much work at most a kill can cost.
    """

    backbone: str
    data: Path
    out: Path
    test_data: Path | None = None
    mode: Mode = "cached"
    solver: Solver = "lbfgs"
    epochs: int | None = None
    batch_size: int = 64
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    l2: float | None = None
    standardize: bool = False
    min_crop: float = 0.08
    flip: bool = True
    seed: int = 0
    val_fraction: float = 0.0
    max_bad: float = 0.05
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
    checkpoint_seconds: float = 20.0

    def __post_init__(self) -> None:
        if self.mode not in DEFAULT_EPOCHS:
            raise UsageError(f"mode is cached or online, not {self.mode!r}")
        if self.solver not in ("sgd", "lbfgs"):
            raise UsageError(f"--solver is sgd or lbfgs, not {self.solver!r}")
        if self.solver == "lbfgs" and self.mode == "online":
            raise UsageError(
                "L-BFGS needs the same features at every step: use --cached with --solver lbfgs, "
                "or --online with --solver sgd"
            )
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

    @property
    def n_epochs(self) -> int:
        """Epochs of SGD."""
        return self.epochs if self.epochs is not None else DEFAULT_EPOCHS[self.mode]

    @property
    def sgd(self) -> SGDSettings:
        """The settings of SGD."""
        return SGDSettings(
            learning_rate=self.learning_rate,
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
