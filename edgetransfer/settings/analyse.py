"""All settings of one analysis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.option import Opt, settle
from edgetransfer.settings.policy_options import percents
from edgetransfer.settings.shared import (
    MAX_BAD,
    CardOverrides,
    Engine,
    Machine,
    MaxBad,
    Metric,
    Seed,
)
from edgetransfer.settings.train import LinearTraining

HeadSolver = Literal["lbfgs", "ridge", "lda", "auto"]


@dataclass(frozen=True, kw_only=True)
class AnalysisSettings(Machine, CardOverrides):
    """Which networks are looked at, and on which photos.

    Parameters
    ----------
    networks
        ONNX files, or names of backbones. Of a file that `pretrain` made, or is making, the
        training is shown too.
    data
        Labelled photos; without them only trainings are shown.
    one_shot
        Sparsities in percent to which each network is pruned at once by magnitude, without and
        with its batch-norm tuned; needs torch.
    solver
        Of the heads, the same for every network.
    tuning_images
        Augmented training views that batch-norm is tuned on.
    seed
        Of the heads, of held-out photos and of these views.

    What is said in place of a card is said of all networks that are files.

    Examples
    --------
    >>> from edgetransfer import AnalysisSettings
    >>> AnalysisSettings(networks="net.onnx", data="photos", one_shot="50,90").levels
    (0.5, 0.9)
    """

    networks: Annotated[
        tuple[str, ...],
        Opt("ONNX files, or names of backbones.", metavar="NETWORK…", positional=True),
    ]
    data: Annotated[
        Path | None,
        Opt(
            "Labelled photos, as for train: heads are fitted to them, and tested.",
            metavar="DIR|FILE|ADDRESS",
            flag="--data -d",
        ),
    ] = None
    one_shot: Annotated[
        str | None,
        Opt(
            "Percents at which each network is pruned at once, without and with batch-norm tuned; "
            "needs the finetune extra.",
            metavar="A,B,…",
        ),
    ] = None
    solver: Annotated[HeadSolver, Opt("Of the heads.")] = "lbfgs"
    tuning_images: Annotated[
        int, Opt("Training views that batch-norm is tuned on.", metavar="N", least=2)
    ] = 1000
    seed: Seed = 0
    metric: Metric = "auto"
    max_bad: MaxBad = MAX_BAD
    engine: Engine = "auto"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if not self.networks:
            raise UsageError("name a network: an ONNX file, or a backbone that has a name")
        if len(set(self.networks)) < len(self.networks):
            raise UsageError("a network is named twice")
        if self.one_shot is not None and self.data is None:
            raise UsageError("--one-shot tests the pruned networks: give photos with --data")
        percents("--one-shot", self.one_shot)

    @property
    def levels(self) -> tuple[float, ...]:
        """The sparsities of one-shot pruning, 0 to 1."""
        return percents("--one-shot", self.one_shot)

    def training(self, network: str, data: Path, *, held_out: float) -> LinearTraining:
        """What a head's training is told of data and machine."""
        machine = {field.name: getattr(self, field.name) for field in fields(Machine)}
        card = {field.name: getattr(self, field.name) for field in fields(CardOverrides)}
        return LinearTraining(
            backbone=network,
            data=data,
            out=data,  # nothing is written
            solver=self.solver,
            seed=self.seed,
            metric=self.metric,
            max_bad=self.max_bad,
            engine=self.engine,
            val_fraction=held_out,
            report=False,
            **machine,
            **(card if Path(network).is_file() else {}),
        )
