"""What a sparse training from scratch, or from a dense network, is asked to do; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.config import dump
from edgetransfer.settings.finetune import Device, Precision
from edgetransfer.settings.losses import LOSS, Losses
from edgetransfer.settings.option import Opt, settings_of, settle
from edgetransfer.settings.policies import CRAM, OPTIONS, POLICIES, PolicyName
from edgetransfer.settings.policy_options import PolicyOptions, levels_of, percents, phases_of
from edgetransfer.settings.shared import (
    MACHINE,
    MAX_BAD,
    Augmentation,
    Data,
    Descent,
    MaxBad,
    Seed,
    Size,
    TestData,
    Threads,
    Workers,
)
from edgetransfer.settings.sparsify import Pattern

DEFAULT_ARCHITECTURE = "small_resnet"
_NETWORK = "Network"
_RESULT = "Result"


@dataclass(frozen=True, kw_only=True)
class Pretraining(PolicyOptions, Losses, Descent, Augmentation):
    """The settings of one sparse training; what policies take beside them is in `PolicyOptions`.

    Parameters
    ----------
    data
        Photos, one folder a class; any folder of photos with ``labels=False``.
    out
        The ONNX file to write; its card and report are written beside it.
    policy
        How it becomes sparse: a name of `edgetransfer.settings.policies.POLICIES`.
    architecture
        A table of layers by its name; the small residual network if None.
    width
        Its channels, as a multiple.
    dense
        Begin from this backbone in place of random weights.
    labels
        Whether to learn from labels; else the features of ``dense`` are the aim.
    tile
        The photos are sheets, one a class, of square tiles of so many pixels: row by row.
    val_fraction
        Share of the training photos that accuracy is told by where there are no others.
    sparsity
        Share of the prunable weights to be zero, the classifier's among them, as the literature
        counts; the policy's default if None.
    epochs
        20 if None, or 10 from a dense backbone.
    stretch
        So many times the epochs, with phases as long as before.
    learning_rate
        The highest; 0.1 if None, or 0.005 from a dense backbone.
    warm_up
        Epochs until it is reached; a twentieth of all if None.
    one_shot
        Sparsities in percent at which the result is pruned in one shot and tested.
    tuning_images
        Augmented training views that batch-norm statistics are tuned on after pruning.
    random_labels
        Share of the training photos that are learned under a wrong label; what becomes of them
        stands in every epoch's record.
    checkpoint_seconds
        Between two checkpoints.

    Examples
    --------
    >>> from edgetransfer import Pretraining
    >>> Pretraining(data="photos", out="net.onnx", policy="gmp").option("sparsity")
    0.9
    """

    data: Data
    out: Annotated[Path, Opt("The ONNX file to write.", metavar="FILE.onnx", flag="--out -o")]
    policy: Annotated[PolicyName, Opt("How it becomes sparse; see above.")] = "acdc"
    sparsity: Annotated[
        float | None,
        Opt(
            "Share of the weights to be zero, the classifier's among them. Default: 0.9; 0.5 or "
            "0.7 of filters and cram.",
            metavar="SHARE",
            above=0,
            most=0.999,
        ),
    ] = None
    epochs: Annotated[int | None, Opt("Default: 20, or 10 with --dense.", metavar="N", least=1)] = (
        None
    )
    architecture: Annotated[
        str | None,
        Opt(
            "small_resnet (usual), resnet20, vgg16 and those of `edgetransfer import`, such as "
            "resnet18, resnet50, mobilenet_v1, mobilenet_v2.",
            metavar="NAME",
            panel=_NETWORK,
        ),
    ] = None
    width: Annotated[
        float, Opt("Channels, as a multiple.", metavar="X", panel=_NETWORK, above=0, most=8)
    ] = 1.0
    size: Size = None
    dense: Annotated[
        str | None,
        Opt(
            "Begin from this backbone, in place of random weights.",
            metavar="FILE|NAME",
            panel=_NETWORK,
        ),
    ] = None
    labels: Annotated[
        bool,
        Opt(
            "--no-labels: any photos; the features of --dense are the aim.",
            flag="--labels/--no-labels",
            panel=LOSS,
        ),
    ] = True
    test_data: TestData = None
    tile: Annotated[
        int | None,
        Opt(
            "The photos are sheets, one a class, of square tiles, row by row.",
            metavar="PIXELS",
            least=8,
        ),
    ] = None
    val_fraction: Annotated[
        float,
        Opt(
            "Share of the training photos to test on, where there are no val or test ones.",
            metavar="X",
            above=0,
            most=0.9,
        ),
    ] = 0.1
    stretch: Annotated[
        float,
        Opt("X times the epochs, with phases as long as before.", metavar="X", least=1),
    ] = 1.0
    batch_size: Annotated[int, Opt(metavar="N", least=2)] = 64
    learning_rate: Annotated[
        float | None,
        Opt(
            "The highest: up in --warm-up, then down along a cosine. Default: 0.1, or 0.005 with "
            "--dense.",
            metavar="X",
            above=0,
        ),
    ] = None
    warm_up: Annotated[
        float | None,
        Opt("Epochs up to it. Default: a twentieth of all.", metavar="EPOCHS", least=0),
    ] = None
    one_shot: Annotated[
        str | None,
        Opt(
            "Percents at which the result is pruned at once, tuned and tested. Default: "
            "50,70,80,90 of dense policies.",
            metavar="A,B,…",
            panel=_RESULT,
        ),
    ] = None
    tuning_images: Annotated[
        int,
        Opt(
            "Training views that batch-norm statistics are tuned on after pruning.",
            metavar="N",
            panel=_RESULT,
            least=2,
        ),
    ] = 1000
    random_labels: Annotated[
        float,
        Opt(
            "Learn so many of the training photos under a wrong label, and say after each epoch "
            "how many are memorised (thesis 3.6.2); with --min-crop 1 --no-flip it shows best.",
            metavar="SHARE",
            panel=_RESULT,
            least=0,
            most=0.5,
        ),
    ] = 0.0
    checkpoint_seconds: Annotated[
        float, Opt("Between two checkpoints.", metavar="S", panel=_RESULT, above=0, free=True)
    ] = 60.0
    max_bad: MaxBad = MAX_BAD
    seed: Seed = 0
    precision: Annotated[
        Precision, Opt("auto: bfloat16 where the processor has it.", panel=MACHINE)
    ] = "auto"
    device: Annotated[Device, Opt(panel=MACHINE)] = "auto"
    threads: Threads = None
    workers: Workers = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        self._check_policy()
        self._check_start()
        if not 0 <= self.momentum < 1:
            raise UsageError(f"--momentum lies from 0 to below 1, not {self.momentum}")
        if not 0 <= self.weight_decay < float("inf"):
            raise UsageError(f"--weight-decay is zero or above, not {self.weight_decay}")
        percents("--one-shot", self.one_shot)

    def _check_policy(self) -> None:
        known = POLICIES[self.policy].options
        flags = {setting.name: setting.flag for setting in settings_of(type(self))}
        for name in sorted(OPTIONS):
            if getattr(self, name) is not None and name not in known:
                takes = ", ".join(flags[one] for one in known) or "none"
                raise UsageError(
                    f"{flags[name].split('/')[0]} is no option of --policy {self.policy}, whose "
                    f"own are: {takes}"
                )
        pattern = Pattern.parse(self.pattern or "unstructured")
        if pattern.keep is not None and (self.sparsity is not None or self.distribution):
            raise UsageError(f"--pattern {self.pattern} fixes every layer's sparsity")
        if self.levels is not None and self.sparsity is not None:
            raise UsageError("--levels says the sparsities; so does --sparsity")
        if self.bits is not None and (self.levels or self.sparsity or pattern.keep is not None):
            raise UsageError(
                "--bits rounds in place of pruning: no --sparsity, --levels, --pattern"
            )
        if self.option("prune_until", 1) <= self.option("prune_from", 0):
            raise UsageError("--prune-until must be after --prune-from")
        if self.levels is not None:
            levels_of(self.levels)
        if self.phases is not None:
            phases_of(self.phases)

    def _check_start(self) -> None:
        if self.dense is not None and (self.architecture is not None or self.width != 1):
            raise UsageError("--dense brings its own network: no --architecture or --width")
        if not self.labels:
            if self.dense is None:
                raise UsageError("--no-labels learns the features of --dense: give a backbone")
            if self.random_labels:
                raise UsageError("--no-labels has no labels for --random-labels")
            if self.teacher is not None or self.label_smoothing:
                raise UsageError("--no-labels has no labels for --teacher or --label-smoothing")
            if self.tile is not None or self.test_data is not None:
                raise UsageError("--no-labels takes a folder of photos: no --tile or --test-data")

    def option(self, name: str, otherwise: Any = None) -> Any:
        """A setting of the policy's own, or what is usual with it."""
        given = getattr(self, name)
        return POLICIES[self.policy].options.get(name, otherwise) if given is None else given

    @property
    def n_epochs(self) -> int:
        """How many epochs there are, all phases together."""
        return max(1, round(self.base_epochs * self.stretch))

    @property
    def base_epochs(self) -> int:
        """Epochs before they are stretched."""
        return self.epochs or (10 if self.dense else 20)

    @property
    def highest_rate(self) -> float:
        """The learning rate after the warm-up."""
        return self.learning_rate or (0.005 if self.dense else 0.1)

    @property
    def one_shot_levels(self) -> tuple[float, ...]:
        """The sparsities, 0 to 1, of the test of one-shot pruning."""
        if self.one_shot is not None:
            return percents("--one-shot", self.one_shot)
        return (0.5, 0.7, 0.8, 0.9) if self.policy in ("sam", *CRAM) else ()

    def to_config(self) -> dict[str, Any]:
        """The settings as a flat table."""
        return dump(self)
