"""The trained part of a backbone as it runs: in torch, or some of its layers in lanes."""

from __future__ import annotations

import logging

import numpy as np
import torch

from edgetransfer.engines.processor import cpu_model
from edgetransfer.engines.sparse.library import instruction_set
from edgetransfer.finetune.batchnorm import Statistics
from edgetransfer.finetune.context import Context
from edgetransfer.finetune.lane_choice import (
    WORTH_MEASURING,
    LaneChoice,
    LaneChooser,
    keep_choice,
    kept_choice,
    library_missing,
    multiply_adds,
    place_of,
)
from edgetransfer.finetune.plan import trained_graph, trained_module
from edgetransfer.finetune.running import Runner

logger = logging.getLogger(__name__)


def trained_runner(
    context: Context, statistics: Statistics, noted: LaneChoice | None
) -> tuple[Runner, LaneChoice]:
    """The trained part, and which of its layers run in lanes.

    Parameters
    ----------
    statistics
        Of batch-norm that is put back.
    noted
        What a run that goes on began with.
    """
    own, plan = context.own, context.plan
    model = trained_graph(plan, statistics)
    module = trained_module(model, own)
    chooser = LaneChooser(module, model, plan.masks, torch.get_num_threads())

    def running(*, checkpointing: bool) -> Runner:
        return Runner(module, plan.device, bfloat16=plan.bfloat16, checkpointing=checkpointing)

    choice = noted
    if choice is None:
        choice = _chosen(context, chooser, running(checkpointing=False))
        name = "sparse" if choice.layers else "torch"
        logger.info("training engine: %s (%s)", name, choice.reason)
    module.steps = chooser.steps(choice)
    return running(checkpointing=own.checkpointing), choice


def _chosen(context: Context, chooser: LaneChooser, runner: Runner) -> LaneChoice:
    asked, plan = context.own.training_engine, context.plan
    if asked == "torch":
        return LaneChoice(reason="as asked")
    if asked == "sparse":
        return chooser.sparse()
    if plan.device.type != "cpu":
        return LaneChoice(reason=f"on {plan.device.type}")
    missing = library_missing()
    if missing is not None:
        return LaneChoice(reason=missing)
    if not chooser.sparse_layers():
        return LaneChoice(reason="no layer is sparse enough")
    images = context.training.n_epochs * len(context.splits.train)
    if 3 * images * multiply_adds(plan.parts.trained) < WORTH_MEASURING:
        return LaneChoice(reason="too short a training to measure what is faster")
    kept = place_of(
        context.cache_root,
        *(context.backbone.identity, plan.parts.first, context.own.batchnorm, context.own.only),
        *(plan.micro_batch, plan.bfloat16, torch.get_num_threads(), torch.__version__),
        *(cpu_model(), instruction_set()),
    )
    choice = kept_choice(kept)
    if choice is None:
        rng = np.random.default_rng(0)
        shapes = [(plan.micro_batch, *shape) for shape in plan.parts.shapes]
        inputs = [torch.from_numpy(rng.standard_normal(s, np.float32)) for s in shapes]
        choice = chooser.measured(runner, inputs, context.progress)
        keep_choice(kept, choice)
    return choice
