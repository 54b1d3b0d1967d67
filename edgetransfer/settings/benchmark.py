"""All settings of one benchmark."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings import recipe
from edgetransfer.settings.config import dump
from edgetransfer.settings.forms import WORDS
from edgetransfer.settings.option import Form, Opt, settings_of, settle
from edgetransfer.settings.shared import (
    MAX_BAD,
    Augmentation,
    BatchSize,
    CardOverrides,
    ComparedBackbones,
    DataSets,
    EngineName,
    LearningRate,
    Machine,
    MaxBad,
    Metric,
    Recipe,
)
from edgetransfer.settings.train import LinearTraining

EPOCHS, SYNTHETIC_EPOCHS = 20, 3
HELD_OUT = 0.2  # of each class, where a data set has neither a test nor a validation split


@dataclass(frozen=True, kw_only=True)
class SyntheticFamily:
    """One architecture with random weights: its dense twin, and pruned to some sparsities.

    Parameters
    ----------
    architecture
        As `edgetransfer.backbones.architectures` names it.
    sparsities
        Shares of weights that are zero, 0 to below 1.

    Examples
    --------
    >>> from edgetransfer import SyntheticFamily
    >>> SyntheticFamily.parse("resnet50:0.9,0.8").sparsities
    (0.8, 0.9)
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
        name, _, listed = text.partition(":")
        try:
            sparsities = {float(part) for part in listed.split(",")}
        except ValueError:
            raise UsageError(f"--synthetic: {text!r} is not of the form {name}:0.8,0.9") from None
        if not all(0 <= sparsity < 1 for sparsity in sparsities):
            raise UsageError(f"--synthetic: a sparsity is from 0 to below 1, not as in {text!r}")
        return cls(architecture=name, sparsities=tuple(sorted(sparsities - {0.0})))

    @property
    def text(self) -> str:
        """What `parse` reads."""
        return f"{self.architecture}:{','.join(map(str, self.sparsities or (0.0,)))}"


_FAMILY = Form(
    read=lambda _option, text: SyntheticFamily.parse(text),
    write=lambda family: str(family.text),
    of_each=True,
)


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(Augmentation, Machine, CardOverrides):
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
    distributions
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
        processor; the least disturbed take counts. Above 0, a finished benchmark that is called
        again measures the rounds anew that were disturbed.
    peers
        Measure the dense baseline in OpenVINO too, in float32 and in int8; if None where OpenVINO
        is installed and ``engines`` names none.
    profile
        Measure engines alone too: layer by layer, and by number of threads.
    from_report
        The ``report.json`` of a benchmark that is to be repeated: what is not said here is as
        there, and the outcome is compared with it.

    What is said in place of a card is said of all backbones that are files.

    Examples
    --------
    >>> from edgetransfer import BenchmarkSettings
    >>> BenchmarkSettings(data="photos", out="bench", baseline="dense.onnx").n_epochs
    20
    """

    out: Annotated[
        Path, Opt("Where measurements and report go.", metavar="DIR", flag="--out -o", free=True)
    ]
    data: DataSets = ()
    baseline: Annotated[
        str | None,
        Opt("The dense backbone that the others are compared with.", metavar="FILE|NAME"),
    ] = None
    backbones: ComparedBackbones = ()
    synthetic: Annotated[
        tuple[SyntheticFamily, ...],
        Opt(
            "resnet18, resnet34, resnet50 or mobilenet_v1 with random weights, pruned by "
            "magnitude to these sparsities: for speed alone. Without --baseline its dense twin "
            "is the baseline.",
            metavar="ARCH:S1,S2",
            parse=_FAMILY,
        ),
    ] = ()
    distributions: Annotated[
        tuple[str, ...],
        Opt(
            "Of --synthetic: how zeros are shared out over the layers; the last four as in the "
            "published ResNet50 (and MobileNetV1: acdc, rigl), by sparsity and work.",
            metavar="uniform,erk,global,acdc,str,woodfisher,rigl",
            flag="--distribution",
            parse=WORDS,
        ),
    ] = ("uniform",)
    engines: Annotated[
        tuple[EngineName, ...],
        Opt(
            "Every backbone runs in each, such as deepsparse,onnxruntime.",
            metavar="ENGINE,…",
            parse=WORDS,
        ),
    ] = ("auto",)
    epochs: Annotated[
        int | None,
        Opt(
            "Of each training. Default: 20; 150 by the paper's recipe; 3 where all weights are "
            "synthetic.",
            metavar="N",
            least=1,
        ),
    ] = None
    seeds: Annotated[int, Opt("How many trainings.", metavar="N", least=1)] = 1
    images: Annotated[
        int | None, Opt("At most so many images an epoch. Default: all.", metavar="N", least=1)
    ] = None
    retakes: Annotated[
        int,
        Opt(
            "Time an epoch again, up to so often, while other processes take more than 5 % of the "
            "processor; the least disturbed counts.",
            metavar="N",
            least=0,
            free=True,
        ),
    ] = 1
    peers: Annotated[
        bool | None,
        Opt(
            "Also time the dense baseline in OpenVINO, in float32 and in int8. Default: where "
            "OpenVINO is installed and --engines is not given.",
            flag="--peers/--no-peers",
        ),
    ] = None
    profile: Annotated[
        bool,
        Opt("Also time engines alone: layer by layer, and by number of threads.", free=True),
    ] = True
    from_report: Annotated[
        Path | None,
        Opt(
            "Repeat a colleague's benchmark: settings as in that report.json, and the outcome is "
            "compared with it. --data and --baseline say where things are here.",
            metavar="REPORT.json",
            free=True,
        ),
    ] = None
    batch_size: BatchSize = 64
    learning_rate: LearningRate = None
    recipe: Recipe = "default"
    metric: Metric = "auto"
    max_bad: MaxBad = MAX_BAD

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if self.from_report is not None:
            return  # what is not said is taken from there, and checked then
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
        if len(set(self.engines)) < len(self.engines):
            raise UsageError("--engines names an engine twice")
        self.training(self.baseline or "synthetic", self.data[0], self.engines[0], seed=0)

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
        engine: EngineName,
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
        reading: CardOverrides = CardOverrides() if own_card else self
        return LinearTraining(
            **{name: getattr(reading, name) for name in _names(CardOverrides)},
            **{name: getattr(self, name) for name in (*_names(Machine), *_names(Augmentation))},
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
            seed=seed,
            val_fraction=val_fraction,
            max_bad=self.max_bad,
            engine=engine,
        )

    def to_config(self) -> dict[str, Any]:
        """The settings that decide what is measured, as JSON values."""
        # How many threads decode changes no training, but it changes a benchmark.
        free = {s.name for s in settings_of(type(self)) if s.said and s.said.free} - {"workers"}
        values = {**{field.name: None for field in fields(self)}, **dump(self)}
        values = {name: value for name, value in values.items() if name not in free}
        values["epochs"] = self.n_epochs
        values["learning_rate"] = self.training("", self.data[0], "auto", seed=0).sgd.learning_rate
        if not self.synthetic:
            del values["distributions"]
        return values


def _names(group: type) -> list[str]:
    return [setting.name for setting in settings_of(group)]
