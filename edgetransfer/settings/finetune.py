"""What a finetuning has to be told beyond what any training has; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.config import differs, dump
from edgetransfer.settings.losses import LOSS, Losses
from edgetransfer.settings.option import Opt, Shown, settle
from edgetransfer.settings.train import LinearTraining

HeadStart = Literal["auto", "kaiming", "linear"]
Only = Literal["all", "batchnorm", "bias", "last-block"]
Keep = Literal["auto", "better", "finetuned"]
BatchNorm = Literal["auto", "keep", "restore", "tune"]
Normalisation = Literal["auto", "data", "augmented", "card"]
Precision = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
TrainingEngine = Literal["auto", "torch", "sparse"]
Optimizer = Literal["sgd", "adam"]
Schedule = Literal["auto", "step", "cosine"]

_WHAT = "What is trained"
_TORCH = "torch"
_HEAD_ALONE = "it says how a linear head is fitted, and a finetuning trains the head by SGD or Adam"

TrainingToo = Annotated[
    LinearTraining,
    Shown(
        without={
            "mode": "--cached-frozen decides it",
            "solver": "--optimizer is its counterpart",
            **dict.fromkeys(
                ("l2", "penalty", "feature_map", "class_weights", "standardize"), _HEAD_ALONE
            ),
        },
        help={
            "epochs": "Default: 20; 150 by the paper's recipe.",
            "learning_rate": "The highest; 0.001, or 0.0003 with adam. With sgd and batch-norm "
            "0.01 pays where a linear head is weak.",
        },
    ),
]
"""What `LinearTraining` says of a finetuning, as the command ``finetune`` shows it."""


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings(Losses):
    """What is trained of a backbone, and how.

    What every training has (data, views, epochs, batch size, learning rate, ``recipe``) stands in
    `LinearTraining`; what is open there or here is decided by `edgetransfer.finetune.recipe`.
    The defaults are made for a laptop: the paper's recipe is ``recipe="paper"``.

    Parameters
    ----------
    optimizer
        ``sgd`` with momentum, or ``adam`` with decoupled weight decay (Loshchilov and Hutter, ICLR
        2019), whose steps do not depend on how large gradients are: folded layers differ in that.
    schedule
        ``step``: a tenth after each third of the epochs. ``cosine``: up in a few steps, then down
        to zero along a cosine. ``auto``: ``step`` for ``sgd``, ``cosine`` for ``adam``.
    refit_head
        Fit an L-BFGS head to the finetuned features at the end.
    head_init
        ``kaiming``: uniform, as a fresh fully connected layer. ``linear``: the L-BFGS head on
        the backbone's own features (a linear probe, then finetuning; Kumar et al., ICLR 2022).
        ``auto``: ``linear``, but ``kaiming`` by the paper's recipe, without a bias and without a
        ``baseline``. On few photos a fresh head is what costs: 228 of Caltech-101 on tinyresnet-90
        end at 45 % after 20 epochs, and at 79 to 80 % from the linear head.
    head_bias
        Whether the head has a bias. Without one as in STR's networks (Iofinova et al., appendix
        G).
    from_layer
        Train from this layer on: the name of weights, of a node or of a tensor. What comes
        before runs in the sparse engine and is not trained.
    only
        Train the batch-norm parameters alone, the biases alone, or the last block alone; the
        head always learns.
    layer_decay
        Each layer learns this many times as fast as the next one; 1 for all alike.
    batchnorm
        ``restore``: put batch-norm behind convolutions that have it folded in, with statistics
        of the data; it is folded in again at the end. ``tune``: where it was not folded, measure
        its statistics anew on 1,000 augmented training views before the first step (Peste, thesis
        2023, section 5.3.3): for a backbone that was pruned, or gets a ``mask``, without it.
        ``auto``: ``keep``, or ``restore`` by the paper's recipe, whose networks have it.
    mask
        Another backbone, whose zeros are used instead.
    mixup
        alpha of the Beta distribution that two images are mixed by (Zhang et al., ICLR 2018);
        0 for none.
    normalise
        ``data``: the input is normalised by the data set's own mean and deviation, over the eval
        views of at most 4,096 images. ``augmented``: by those of all training images under the
        training's augmentation, as in the paper's appendix B. ``card``: as
        the backbone's card says. ``auto``: ``data`` where the card has ImageNet's own mean and
        deviation; a backbone that was trained at another scale would have to learn that first,
        so it keeps its card. By the paper's recipe ``augmented``.
    precision
        ``auto``: bfloat16 where the processor multiplies it, else float32. Weights, gradients
        of weights and momentum are float32 in any case.
    training_engine
        What computes the gradients. ``sparse``: in layers of which 75 % of the weights are zero,
        kernels of the project's own for which a zero is no work; torch does the rest. ``torch``:
        all in torch. ``auto``: measured at the start, layer by layer and then a whole step, and the
        faster one is taken (torch where a training is too short to measure, or on a GPU). What was
        measured is kept on the machine, and in the run, which goes on with it: the two differ in
        rounding.
    micro_batch
        Images that go through torch at once; a batch is the sum of several. 16 if None, or 32
        where batch-norm learns from them; the whole batch by the paper's recipe.
    checkpointing
        Compute activations again in the backward pass instead of keeping them.
    cached_frozen
        With ``from_layer``: run the frozen part once, on the eval views, and keep its output in
        memory; there is no augmentation then.
    baseline
        Fit a linear head first, to say what it reaches and which learning rate fits.
    keep
        What the run holds at the end. ``better``: the finetuned network, or the backbone as it was
        with a linear head where that is as good on photos that neither learned from: the
        validation photos, or a fifth of the others (``val_fraction`` says another share).
        ``finetuned``: the finetuned network in any case. ``auto``: ``better``, but ``finetuned``
        by the paper's recipe, which holds nothing out, and without a ``baseline``.

    Examples
    --------
    >>> from edgetransfer import FinetuneSettings
    >>> FinetuneSettings(optimizer="adam").is_cosine
    True
    """

    optimizer: Annotated[
        Optimizer,
        Opt("adam where batch-norm is folded into convolutions and epochs are few."),
    ] = "sgd"
    schedule: Annotated[
        Schedule,
        Opt(
            "Of the learning rate: a tenth after each third of the epochs (auto with sgd), or "
            "along a cosine (auto with adam)."
        ),
    ] = "auto"
    baseline: Annotated[bool, Opt("Fit a linear head first, to say what it reaches.")] = True
    keep: Annotated[
        Keep,
        Opt(
            "better: hold the linear head where finetuning does not beat it on photos that were "
            "held out. auto: better, but by the paper's recipe finetuned.",
            free=True,
        ),
    ] = "auto"
    from_layer: Annotated[
        str | None,
        Opt(
            "Train from these weights on (names: edgetransfer inspect); what comes before runs "
            "in the sparse engine.",
            metavar="NAME",
            panel=_WHAT,
        ),
    ] = None
    only: Annotated[Only, Opt("Train these alone, and the head.", panel=_WHAT)] = "all"
    cached_frozen: Annotated[
        bool,
        Opt("Run the frozen part once, without augmentation, and keep its output.", panel=_WHAT),
    ] = False
    head_init: Annotated[
        HeadStart,
        Opt(
            "Start from a fresh head, or from the linear one. auto: linear, but kaiming by the "
            "paper's recipe, with --no-head-bias and with --no-baseline.",
            panel=_WHAT,
        ),
    ] = "auto"
    head_bias: Annotated[
        bool, Opt("Give the head a bias; STR's networks have none.", panel=_WHAT)
    ] = True
    refit_head: Annotated[
        bool, Opt("Fit an L-BFGS head to the finetuned features at the end.", panel=_WHAT)
    ] = False
    layer_decay: Annotated[
        float,
        Opt(
            "Each layer learns X times as fast as the next.",
            metavar="X",
            panel=_WHAT,
            above=0,
            most=1,
        ),
    ] = 1.0
    batchnorm: Annotated[
        BatchNorm,
        Opt(
            "restore: put batch-norm back where it was folded into convolutions; auto does by "
            "the paper's recipe alone. tune: where it is, measure its statistics anew first, on "
            "1,000 augmented views, as after pruning.",
            panel=_WHAT,
        ),
    ] = "auto"
    mask: Annotated[
        str | None, Opt("Use the zeros of another backbone.", metavar="FILE", panel=_WHAT)
    ] = None
    normalise: Annotated[
        Normalisation,
        Opt(
            "Input by the data set's own mean and deviation (of eval views, or of augmented "
            "ones), or by the card's. auto: data if all layers are trained and the card has "
            "ImageNet's; augmented by the paper's recipe.",
            panel=_WHAT,
        ),
    ] = "auto"
    mixup: Annotated[
        float, Opt("Mix images in pairs; 0.2 is usual.", metavar="ALPHA", panel=LOSS)
    ] = 0.0
    precision: Annotated[
        Precision, Opt("auto: bfloat16 where the processor has it.", panel=_TORCH)
    ] = "auto"
    training_engine: Annotated[
        TrainingEngine,
        Opt(
            "sparse: kernels for which a zero weight is no work, in layers that are 75 % zero. "
            "auto: where a measurement at the start says that it is faster.",
            panel=_TORCH,
        ),
    ] = "auto"
    micro_batch: Annotated[
        int | None,
        Opt(
            "Images at once, of a batch; 16, or 32 with batch-norm, or the whole batch by the "
            "paper's recipe.",
            metavar="N",
            panel=_TORCH,
            least=1,
        ),
    ] = None
    checkpointing: Annotated[bool, Opt("Less memory, a third more time.", panel=_TORCH)] = False
    device: Annotated[Device, Opt(panel=_TORCH)] = "auto"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        if not 0 <= self.mixup < float("inf"):
            raise UsageError(f"--mixup is zero or a number above it, not {self.mixup}")
        if not self.head_bias and (self.head_init == "linear" or self.refit_head):
            raise UsageError(
                "--no-head-bias goes with a head that is trained from the start: the L-BFGS head "
                "of --head-init linear and --refit-head has a bias"
            )
        if self.keep == "better" and not self.baseline:
            raise UsageError("--keep better compares with the linear head that --no-baseline omits")
        self._check_frozen()

    def _check_frozen(self) -> None:
        if self.from_layer is not None and self.only == "last-block":
            raise UsageError("--only last-block says where training begins; so does --from-layer")
        if self.cached_frozen and not self.is_partial:
            raise UsageError("--cached-frozen needs a frozen part: --from-layer, --only last-block")
        if self.teacher is not None and self.is_partial:
            raise UsageError(
                "--teacher looks at images, which --from-layer does not bring to torch"
            )

    @property
    def is_partial(self) -> bool:
        """Whether some layers are frozen."""
        return self.from_layer is not None or self.only == "last-block"

    @property
    def is_cosine(self) -> bool:
        """Whether the learning rate falls along a cosine."""
        return self.schedule == "cosine" or (self.schedule == "auto" and self.optimizer == "adam")

    def to_config(self) -> dict[str, Any]:
        """The settings as a TOML table."""
        return dump(self)

    def difference(self, config: dict[str, Any]) -> str | None:
        """The first setting that differs from a saved table; what it lacks is as by default."""
        # A run of before may have its schedule still open.
        free = ("schedule",) if config.get("schedule", "auto") == "auto" else ()
        return differs(type(self), self.to_config(), config, free=free)
