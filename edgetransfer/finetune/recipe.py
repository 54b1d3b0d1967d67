"""What a finetuning is where nothing is said, and the paper's own recipe; loads no torch.

Iofinova et al. (CVPR 2022), sections 3.1 and 3.4 and appendix B: 150 epochs of SGD in batches of
64, from 0.001 on (0.01 for Aircraft and Cars), a tenth after every 50 epochs; a fresh head
(Kaiming uniform); batch-norm that learns from the whole batch; float32; inputs normalised by the
data set's own mean and deviation under the training augmentation. Momentum and weight decay are
of its reference [61] (Salman et al., NeurIPS 2020).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgetransfer.metrics.conventions import known_data_set
from edgetransfer.settings import recipe
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.train import LinearTraining

EPOCHS = 20
LEARNING_RATES = {"sgd": 0.001, "adam": 0.0003}
CHECKPOINT_SECONDS = 120.0
HELD_OUT = 0.2  # of the training photos, to judge by, where there are no validation photos
DIFFICULT_RATE = 0.01

TRAINING: dict[str, Any] = {
    **{name: recipe.LINEAR[name] for name in ("epochs", "batch_size", "momentum", "weight_decay")},
    **{name: recipe.LINEAR[name] for name in ("min_crop", "flip")},
}
OWN: dict[str, Any] = {
    "optimizer": "sgd",
    "schedule": "step",
    "refit_head": False,
    "head_init": "kaiming",
    "only": "all",
    "from_layer": None,
    "layer_decay": 1.0,
    "batchnorm": "restore",
    "teacher": None,
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "normalise": "augmented",
    "precision": "float32",
    "keep": "finetuned",
}


def resolved(
    training: LinearTraining, own: FinetuneSettings
) -> tuple[LinearTraining, FinetuneSettings]:
    """The settings with nothing left open, from the command line and from Python alike.

    What is given stays; `departures` names where that is not the recipe.
    """
    papers = training.recipe == "paper"
    rate = LEARNING_RATES[own.optimizer]
    if papers:
        rate = papers_rate(training)
    training = replace(
        training,
        mode="cached" if own.cached_frozen else "online",
        solver="sgd",
        epochs=training.epochs or (recipe.EPOCHS if papers else EPOCHS),
        learning_rate=rate if training.learning_rate is None else training.learning_rate,
        checkpoint_seconds=(
            CHECKPOINT_SECONDS
            if training.checkpoint_seconds is None
            else training.checkpoint_seconds
        ),
    )
    own = replace(own, schedule="cosine" if own.is_cosine else "step")
    if own.head_init == "auto":
        fresh = papers or not own.head_bias or not own.baseline
        own = replace(own, head_init="kaiming" if fresh else "linear")
    if own.keep == "auto":
        own = replace(own, keep="finetuned" if papers or not own.baseline else "better")
    if own.keep == "better" and not training.val_fraction:
        training = replace(training, val_fraction=HELD_OUT)
    if papers:
        own = replace(
            own,
            batchnorm="restore" if own.batchnorm == "auto" else own.batchnorm,
            normalise="augmented" if own.normalise == "auto" else own.normalise,
            precision="float32" if own.precision == "auto" else own.precision,
            micro_batch=own.micro_batch or training.batch_size,
        )
    elif own.batchnorm == "auto":
        own = replace(own, batchnorm="keep")
    return training, own


def papers_rate(training: LinearTraining) -> float:
    """The paper's first learning rate on a data set."""
    known = known_data_set(Path(training.data).resolve())
    return DIFFICULT_RATE if known is not None and known.difficult else LEARNING_RATES["sgd"]


def departures(training: LinearTraining, own: FinetuneSettings) -> list[str]:
    """In what resolved settings are not the paper's recipe; nothing if they are not to be."""
    if training.recipe != "paper":
        return []
    wanted = {**TRAINING, "learning_rate": papers_rate(training)}
    whole = {"micro_batch": training.batch_size}
    return [
        *recipe.departures({name: getattr(training, name) for name in wanted}, wanted),
        *recipe.departures({name: getattr(own, name) for name in OWN}, OWN),
        *recipe.departures({"micro_batch": own.micro_batch}, whole),
    ]


def as_begun(
    training: LinearTraining, own: FinetuneSettings, config: dict[str, Any]
) -> tuple[LinearTraining, FinetuneSettings]:
    """What a run that goes on holds out and began from: as when it was begun.

    Parameters
    ----------
    config
        The run's own, as it was begun; of a run from before there was ``keep``, nothing is
        compared.
    """
    if own.keep == "auto":
        own = replace(own, keep=config.get("finetune", {}).get("keep", "finetuned"))
    if own.head_init == "auto":
        own = replace(own, head_init=config.get("finetune", {}).get("head_init", "kaiming"))
    if not training.val_fraction:
        training = replace(training, val_fraction=config.get("val_fraction", 0.0))
    return training, own
