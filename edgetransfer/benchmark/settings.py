"""All settings of one benchmark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from edgetransfer.engines import engine_names
from edgetransfer.errors import UsageError
from edgetransfer.metrics.conventions import MetricChoice
from edgetransfer.reprs import short_repr
from edgetransfer.train import LinearTraining, recipe
from edgetransfer.train.recipe import Recipe
from edgetransfer.types import Interpolation

EPOCHS, SYNTHETIC_EPOCHS = 20, 3
HELD_OUT = 0.2  # of each class, where a data set has neither a test nor a validation split
# What may differ between a benchmark and its resumption without changing what is measured.
FREE_ON_RESUME = frozenset(["out", "cache_dir", "max_bad", "retakes", "recipe", "metric"])


@dataclass(frozen=True, kw_only=True)
class SyntheticFamily:
    """One architecture with random weights: its dense twin, and pruned to some sparsities.

    Parameters
    ----------
    architecture
        As `edgetransfer.backbones.architectures` names it.
    sparsities
        Shares of weights that are zero, 0 to below 1.
    """

    architecture: str
    sparsities: tuple[float, ...]

    __repr__ = short_repr

    @classmethod
    def parse(cls, text: str) -> SyntheticFamily:
        """Read ``ARCH:S1,S2``.

        Raises
        ------
        UsageError
            If it is anything else, or a sparsity is not a share.
        """
        from edgetransfer.backbones.architectures import architecture

        name, _, listed = text.partition(":")
        known = architecture(name).name
        try:
            sparsities = {float(part) for part in listed.split(",")}
        except ValueError:
            raise UsageError(f"--synthetic: {text!r} is not of the form {known}:0.8,0.9") from None
        if not all(0 <= sparsity < 1 for sparsity in sparsities):
            raise UsageError(f"--synthetic: a sparsity is from 0 to below 1, not as in {text!r}")
        return cls(architecture=known, sparsities=tuple(sorted(sparsities - {0.0})))


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """What to compare, on what data, and how often.

    Parameters
    ----------
    out
        The folder of the measurements and the report.
    data
        Class folders or manifests; see `edgetransfer.data.load_data`.
    baseline
        The dense backbone that the others are compared with: an ONNX file or a bundled name.
        May be None where all are synthetic: then each architecture's dense twin is the baseline.
    backbones
        The others.
    synthetic
        Architectures to be made with random weights, pruned by magnitude.
    patterns
        Of that pruning: how the zeros are shared out over the layers, or the method whose
        published network they stand for (`edgetransfer.backbones.architectures.profiles`).
    engines
        Every backbone runs in each of them.
    epochs, seeds
        Timed epochs of one training, and how many trainings. 20 epochs if None, as
        ``train --online``; 3 where all weights are synthetic.
    recipe, metric
        As in `LinearTraining`.
    images
        How many images an epoch has at most; all of them if None.
    retakes
        How often a turn is taken again while other processes take more than 5 % of the
        processor; the least disturbed take counts.
    size, resize, mean, std, interpolation, normalisation
        As in `Preprocessing`; each overrides the cards of all backbones that are files.
    """

    out: Path
    data: tuple[Path, ...]
    baseline: str | None = None
    backbones: tuple[str, ...] = ()
    synthetic: tuple[SyntheticFamily, ...] = ()
    patterns: tuple[str, ...] = ("uniform",)
    engines: tuple[str, ...] = ("auto",)
    epochs: int | None = None
    seeds: int = 1
    images: int | None = None
    retakes: int = 0
    batch_size: int = 64
    learning_rate: float | None = None
    recipe: Recipe = "default"
    metric: MetricChoice = "auto"
    min_crop: float = 0.08
    flip: bool = True
    max_bad: float = 0.05
    threads: int | None = None
    workers: int | None = None
    cache_dir: Path | None = None
    size: int | None = None
    resize: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Interpolation | None = None
    normalisation: str | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not self.data:
            raise UsageError("give at least one data set with --data")
        if self.baseline is None and self.backbones:
            raise UsageError(
                "name the dense backbone that the others are compared with: --baseline DENSE.onnx"
            )
        if self.baseline is None and not self.synthetic:
            raise UsageError(
                "nothing to measure: give --baseline DENSE.onnx and --backbone SPARSE.onnx, or "
                "--synthetic resnet50:0.8,0.9"
            )
        for name in self.engines:
            if name not in engine_names():
                raise UsageError(
                    f"--engines names some of {', '.join(engine_names())}, not {name!r}"
                )
        if len(set(self.engines)) < len(self.engines):
            raise UsageError("--engines names an engine twice")
        for name in ("seeds", "images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name} must be at least 1, not {value}")
        self._check_patterns()
        self.training(self.baseline or "synthetic", self.data[0], self.engines[0], seed=0)

    def _check_patterns(self) -> None:
        if not self.synthetic:
            return
        from edgetransfer.backbones.architectures.profiles import Profile, is_profile, published
        from edgetransfer.graphs.pruning import Distribution

        patterns = (*get_args(Distribution), *get_args(Profile))

        for pattern in self.patterns:
            if pattern not in patterns:
                raise UsageError(f"--pattern names some of {', '.join(patterns)}, not {pattern!r}")
            for family in self.synthetic if is_profile(pattern) else ():
                for sparsity in family.sparsities:
                    published(family.architecture, pattern, sparsity)

    @property
    def is_all_synthetic(self) -> bool:
        """Whether no backbone has trained weights, so that accuracy says nothing."""
        return self.baseline is None

    @property
    def n_epochs(self) -> int:
        """Timed epochs of one training."""
        if self.epochs is not None:
            return self.epochs
        if self.recipe == "paper":
            return recipe.EPOCHS
        return SYNTHETIC_EPOCHS if self.is_all_synthetic else EPOCHS

    def training(
        self,
        backbone: str,
        data: Path,
        engine: str,
        seed: int,
        *,
        own_card: bool = False,
        val_fraction: float = 0.0,
    ) -> LinearTraining:
        """The training, as ``train --online`` does it, whose epochs are timed.

        Parameters
        ----------
        own_card
            Leave the card as it is.
        """
        return LinearTraining(
            backbone=backbone,
            data=data,
            out=self.out,
            mode="online",
            solver="sgd",
            epochs=self.n_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            recipe=self.recipe,
            metric=self.metric,
            min_crop=self.min_crop,
            flip=self.flip,
            seed=seed,
            val_fraction=val_fraction,
            max_bad=self.max_bad,
            engine=engine,
            threads=self.threads,
            workers=self.workers,
            cache_dir=self.cache_dir,
            size=None if own_card else self.size,
            resize=None if own_card else self.resize,
            mean=None if own_card else self.mean,
            std=None if own_card else self.std,
            interpolation=None if own_card else self.interpolation,
            normalisation=None if own_card else self.normalisation,
        )

    def to_config(self) -> dict[str, Any]:
        """The settings that decide what is measured, as JSON values."""
        values = {k: v for k, v in asdict(self).items() if k not in FREE_ON_RESUME}
        values["data"] = [str(path.resolve()) for path in self.data]
        values["epochs"] = self.n_epochs
        values["learning_rate"] = self.training("", self.data[0], "auto", seed=0).sgd.learning_rate
        if not self.synthetic:
            del values["patterns"]
        return values
