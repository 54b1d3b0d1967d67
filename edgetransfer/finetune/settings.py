"""What a finetuning has to be told beyond what any training has; loads no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr

HeadStart = Literal["kaiming", "linear"]
Only = Literal["all", "batchnorm", "bias", "last-block"]
BatchNorm = Literal["auto", "keep", "restore"]
Normalisation = Literal["auto", "data", "augmented", "card"]
Precision = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Optimizer = Literal["sgd", "adam"]
Schedule = Literal["auto", "step", "cosine"]

CHOICES: dict[str, Any] = {
    "head_init": HeadStart,
    "only": Only,
    "batchnorm": BatchNorm,
    "normalise": Normalisation,
    "precision": Precision,
    "device": Device,
    "optimizer": Optimizer,
    "schedule": Schedule,
}


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
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
        of the data; it is folded in again at the end. ``auto``: ``keep``, or ``restore`` by the
        paper's recipe, whose networks have it.
    mask
        Another backbone, whose zeros are used instead.
    teacher
        An ONNX file to learn from: of as many outputs as there are classes (Hinton et al.,
        2015), or with features as long as the backbone's; it teaches these, and the answers of a
        linear head that is fitted to them first.
    teacher_weight
        The teacher's share of the loss, 0 to 1.
    temperature
        At which the teacher's and the student's logits are compared.
    label_smoothing
        Share of the target spread over all classes (Szegedy et al., CVPR 2016).
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
    """

    optimizer: Optimizer = "sgd"
    schedule: Schedule = "auto"
    refit_head: bool = False
    head_init: HeadStart = "kaiming"
    head_bias: bool = True
    from_layer: str | None = None
    only: Only = "all"
    layer_decay: float = 1.0
    batchnorm: BatchNorm = "auto"
    mask: str | None = None
    teacher: str | None = None
    teacher_weight: float = 0.5
    temperature: float = 2.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    normalise: Normalisation = "auto"
    precision: Precision = "auto"
    micro_batch: int | None = None
    checkpointing: bool = False
    cached_frozen: bool = False
    device: Device = "auto"
    baseline: bool = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, choice in CHOICES.items():
            if getattr(self, name) not in get_args(choice):
                raise UsageError(
                    f"--{name.replace('_', '-')} is one of {', '.join(get_args(choice))}, not "
                    f"{getattr(self, name)!r}"
                )
        for name in ("teacher_weight", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"--{name.replace('_', '-')} lies between 0 and 1")
        if not 0 < self.layer_decay <= 1:
            raise UsageError(f"--layer-decay lies above 0 and up to 1, not {self.layer_decay}")
        if not 0 <= self.mixup < float("inf"):
            raise UsageError(f"--mixup is zero or a number above it, not {self.mixup}")
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"--temperature is a number above zero, not {self.temperature}")
        if self.micro_batch is not None and self.micro_batch < 1:
            raise UsageError(f"--micro-batch must be at least 1, not {self.micro_batch}")
        if not self.head_bias and (self.head_init == "linear" or self.refit_head):
            raise UsageError(
                "--no-head-bias goes with a head that is trained from the start: the L-BFGS head "
                "of --head-init linear and --refit-head has a bias"
            )
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
        return {key: value for key, value in asdict(self).items() if value is not None}

    def difference(self, config: dict[str, Any]) -> str | None:
        """The first setting that differs from a saved table; what it lacks is as by default."""
        for name, now in asdict(self).items():
            usual = type(self).__dataclass_fields__[name].default
            before = config.get(name, usual)
            if before != now and not (name == "schedule" and before == "auto"):
                was = "not set" if before is None else before
                return f"{name} was {was} and is now {'not set' if now is None else now}"
        return None
