"""All settings of one comparison."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.shared import (
    DEFAULT_BACKBONE,
    CardOverrides,
    ComparedBackbones,
    DataSets,
    Engine,
    Machine,
    MaxBad,
    Metric,
    Recipe,
)
from edgetransfer.settings.train import LinearTraining, Solver

Transfer = Literal["linear", "full"]
Transfers = Literal["linear", "full", "both"]
HELD_OUT = 0.2  # of each class, where a data set has neither a test nor a validation split


@dataclass(frozen=True, kw_only=True)
class ComparisonSettings(Machine, CardOverrides):
    """Which backbones are compared, on which data sets, and by which kinds of transfer.

    Parameters
    ----------
    out
        The folder of the runs and of what they show.
    baseline
        The dense backbone that errors are related to: an ONNX file or the name of one.
    backbones
        The others.
    data
        Class folders or manifests, see `edgetransfer.data.load_data`; or folders of features as
        `extract` makes them, for each data set one of each backbone.
    transfer
        ``linear``: a head on fixed features. ``full``: all non-zero weights. Or ``both``.
    solver, epochs
        Of the linear heads, and of full finetuning; as ``train`` and ``finetune`` have them if
        None.
    seeds
        How many trainings of each, of the seeds 0, 1, ….
    recipe, metric
        As in `LinearTraining`.

    What is said in place of a card is said of all backbones that are files.

    Examples
    --------
    >>> from edgetransfer import ComparisonSettings
    >>> ComparisonSettings(
    ...     data="photos", out="compared", baseline="dense.onnx", backbones="sparse.onnx"
    ... ).transfers
    ('linear',)
    """

    out: Annotated[
        Path,
        Opt("Where runs and report go.", metavar="DIR", flag="--out -o", free=True),
    ]
    data: DataSets = ()
    baseline: Annotated[
        str,
        Opt("The dense backbone that errors are related to.", metavar="FILE|NAME"),
    ] = DEFAULT_BACKBONE
    backbones: ComparedBackbones = ()
    transfer: Annotated[
        Transfers, Opt("A head on fixed features, all non-zero weights, or both.")
    ] = "linear"
    solver: Annotated[Solver | None, Opt("Of the linear heads. Default: as train has it.")] = None
    epochs: Annotated[
        int | None,
        Opt("Of full finetuning. Default: as finetune has it.", metavar="N", least=1),
    ] = None
    seeds: Annotated[int, Opt("How many trainings of each.", metavar="N", least=1, most=100)] = 1
    recipe: Recipe = "default"
    metric: Metric = "auto"
    max_bad: MaxBad = 0.05
    engine: Engine = "auto"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if not self.data:
            raise UsageError("give at least one data set with --data")
        if not self.backbones:
            raise UsageError("nothing to compare: give --backbone SPARSE.onnx, once for each")
        named = (self.baseline, *self.backbones)
        if len(set(named)) < len(named):
            raise UsageError("a backbone is named twice")
        if len({path.absolute() for path in self.data}) < len(self.data):
            raise UsageError("a data set is named twice")
        self.training(self.baseline, self.data[0], self.out, seed=0, held_out=0)

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """Those that are asked for."""
        return ("linear", "full") if self.transfer == "both" else (self.transfer,)

    def training(
        self,
        backbone: str,
        data: Path,
        out: Path,
        *,
        seed: int,
        held_out: float,
        solver: Solver | None = None,
    ) -> LinearTraining:
        """What one training is told of data and machine; a finetuning takes it too."""
        machine = {field.name: getattr(self, field.name) for field in fields(Machine)}
        is_file = Path(backbone).is_file()
        card = {field.name: getattr(self, field.name) for field in fields(CardOverrides)}
        return LinearTraining(
            backbone=backbone,
            data=data,
            out=out,
            seed=seed,
            solver=solver,
            recipe=self.recipe,
            metric=self.metric,
            max_bad=self.max_bad,
            engine=self.engine,
            val_fraction=held_out,
            report=False,
            **machine,
            **(card if is_file else {}),
        )
