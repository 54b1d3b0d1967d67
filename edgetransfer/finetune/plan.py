"""What is trained, decided and checked before anything is written or trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import onnx
import psutil
import torch

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample
from edgetransfer.engines import Engine
from edgetransfer.errors import BackboneError
from edgetransfer.features import FeatureExtractor
from edgetransfer.finetune.batchnorm import Statistics, bare_convolutions, restore
from edgetransfer.finetune.initializers import with_initializers
from edgetransfer.finetune.lane_choice import check_asked
from edgetransfer.finetune.masks import WeightMasks
from edgetransfer.finetune.memory import check_memory, training_bytes
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.moments import output_moments
from edgetransfer.finetune.partition import Partition, last_block, partition
from edgetransfer.finetune.pixels import PixelEngine
from edgetransfer.finetune.running import choose_device, multiplies_bfloat16
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.train import LinearTraining
from edgetransfer.types import Progress

STATISTICS_IMAGES = 256


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A backbone under its masks, cut where training begins.

    Parameters
    ----------
    body
        The backbone's own graph, masked.
    model
        The same, frozen to the batch size.
    parts
        Of ``model``.
    begin
        Where training begins, as `partition` takes it.
    device, bfloat16
        Where and how torch computes.
    micro_batch
        Images at once. The small ones are the fast ones: their activations are given back to
        the heap and taken from it again, where larger ones are mapped anew each time.
    """

    body: onnx.ModelProto
    model: onnx.ModelProto
    masks: WeightMasks
    parts: Partition
    begin: str | None
    device: torch.device
    bfloat16: bool
    micro_batch: int


def make_plan(backbone: Backbone, training: LinearTraining, own: FinetuneSettings) -> Plan:
    """Decide what is trained.

    Raises
    ------
    EdgeTransferError
        If an operator is not covered, there is nothing to train, the mask does not fit, or the
        memory does not suffice.
    """
    # Of a batch of one a Reshape does not tell which of its numbers is the batch.
    model = backbone.frozen(max(training.batch_size, 2))
    if own.mask is None:
        masks = WeightMasks.of(model)
    else:
        masks = WeightMasks.transferred(Backbone.open(own.mask).frozen(2), model)
    body = with_initializers(backbone.body, masks.applied(backbone.body))
    model = with_initializers(model, masks.applied(model))
    begin = last_block(model) if own.only == "last-block" else own.from_layer
    parts = partition(model, begin)
    module = OnnxModule(parts.trained)
    choose_trainable(module, own, restored=own.batchnorm == "restore")
    if own.batchnorm == "tune" and not has_batchnorm_nodes(model):
        raise BackboneError(
            f"{backbone.path}: --batchnorm tune: the backbone has no batch-norm of its own, it was "
            "folded into convolutions: --batchnorm restore puts it back with statistics of the "
            "data, and `edgetransfer import` keeps it"
        )
    learns_statistics = own.batchnorm == "restore" or any(
        step.operator == "BatchNormalization" for step in module.steps
    )
    usual = 32 if learns_statistics else 16
    device = choose_device(own.device)
    wanted = own.precision == "auto" and multiplies_bfloat16(device)
    plan = Plan(
        body=body,
        model=model,
        masks=masks,
        parts=parts,
        begin=begin,
        device=device,
        bfloat16=wanted or own.precision == "bfloat16",
        micro_batch=min(own.micro_batch or usual, training.batch_size),
    )
    check_asked(own, parts.trained, masks, device)
    if device.type == "cpu":
        check_memory(
            memory_of(plan, training, own),
            free=psutil.virtual_memory().available,
            micro_batch=plan.micro_batch,
            checkpointing=own.checkpointing,
        )
    return plan


def has_batchnorm_nodes(model: onnx.ModelProto) -> bool:
    """Whether batch-norm is a node of its own anywhere."""
    return any(node.op_type == "BatchNormalization" for node in model.graph.node)


def masked(backbone: Backbone, plan: Plan, own: FinetuneSettings) -> Backbone:
    """The backbone that training begins from: with the zeros of another one, if that was asked.

    Its features are others than the file's, and so is its identity.
    """
    if own.mask is None:
        return backbone
    return replace(backbone, body=plan.body, variant=f"masked by {Backbone.open(own.mask).sha256}")


def memory_of(plan: Plan, training: LinearTraining, own: FinetuneSettings) -> int:
    """About what the training will take, in bytes."""
    return training_bytes(
        plan.parts.trained,
        batch=training.batch_size,
        micro_batch=plan.micro_batch,
        value_bytes=2 if plan.bfloat16 else 4,
        checkpointing=own.checkpointing,
    )


def choose_trainable(module: OnnxModule, own: FinetuneSettings, *, restored: bool = False) -> None:
    """Let only what the settings name require a gradient.

    Raises
    ------
    BackboneError
        If the backbone has nothing of that kind.
    """
    if own.only not in ("batchnorm", "bias"):
        return
    if own.only not in module.roles.values() and not (restored and own.only == "batchnorm"):
        kind = "batch-norm" if own.only == "batchnorm" else "bias"
        hint = "; --batchnorm restore puts it back" if own.only == "batchnorm" else ""
        raise BackboneError(f"--only {own.only}: the backbone has no {kind} of its own{hint}")
    for name, role in module.roles.items():
        module.tensor(name).requires_grad_(role == own.only)


def layer_rates(module: OnnxModule, decay: float) -> dict[str, float]:
    """How many times the learning rate each initializer learns at.

    A layer is a convolution or fully connected layer and what follows up to the next; the last
    learns ``decay`` times as fast as the head, each one before ``decay`` times as fast as that.
    """
    layers = sum(role == "weight" for role in module.roles.values())
    rates, index = {}, 0
    for name, role in module.roles.items():
        index += role == "weight"
        rates[name] = decay ** (layers - max(index, 1) + 1)
    return rates


def pixel_engine(backbone: Backbone, batch_size: int) -> Engine:
    """What hands images on to torch."""
    size = backbone.preprocessing.size
    return PixelEngine(batch_size=batch_size, size=size, version=torch.__version__)


def convolution_statistics(
    plan: Plan,
    backbone: Backbone,
    samples: Sequence[Sample],
    *,
    batch_size: int,
    workers: int | None,
    progress: Progress,
) -> Statistics:
    """Mean and variance of what each bare convolution of the trained part makes of the data.

    Over the eval views of at most 256 samples, evenly spread.
    """
    outputs = bare_convolutions(plan.parts.trained)
    chosen = samples[:: -(-len(samples) // STATISTICS_IMAGES)]
    engine = pixel_engine(backbone, min(batch_size, 16))
    side = backbone.preprocessing.size

    def batches(extractor: FeatureExtractor) -> Iterator[torch.Tensor]:
        done = 0
        for batch in extractor.extract(chosen):
            yield torch.from_numpy(batch.features.reshape(-1, 3, side, side))
            done += len(batch.indices) + len(batch.failed)
            progress("batch-norm", done, len(chosen))

    with FeatureExtractor(engine, backbone.preprocessing, workers=workers) as extractor:
        return output_moments(plan.model, outputs, batches(extractor))


def trained_graph(plan: Plan, statistics: Statistics) -> onnx.ModelProto:
    """The trained part, with the batch-norm that is put back."""
    return restore(plan.parts.trained, statistics) if statistics else plan.parts.trained


def trained_module(model: onnx.ModelProto, own: FinetuneSettings) -> OnnxModule:
    """The trained part in torch."""
    module = OnnxModule(model, overwrite=not own.checkpointing)
    choose_trainable(module, own)
    return module
