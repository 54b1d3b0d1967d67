"""Batch-norm statistics measured anew after weights were pruned.

"We keep a subset of randomly chosen 1000 training samples, to which we apply standard training
augmentations, and which are used post-pruning for resetting the Batch Norm statistics" (Peste,
thesis 2023, section 5.3.3). No parameter is trained.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from edgetransfer.finetune.module import OnnxModule

TUNING_IMAGES = 1000


def has_batchnorm(module: OnnxModule) -> bool:
    """Whether there are statistics at all."""
    return any(step.operator == "BatchNormalization" for step in module.steps)


@torch.no_grad()
def tune_batchnorm(module: OnnxModule, batches: Iterable[Tensor]) -> int:
    """Forget the statistics, and take the mean of those of some batches; returns the images seen.

    Parameters
    ----------
    module
        Its scales must require a gradient: a frozen layer keeps its statistics.
    batches
        (n, 3, S, S) float32 images each, normalised; of about equal n. None changes nothing.
    """
    if not has_batchnorm(module):
        return 0
    was_training, seen, count = module.training, 0, 0
    module.train()
    try:
        for count, images in enumerate(batches, start=1):
            # The first batch replaces what was there, the n-th counts one n-th.
            module.statistics_share = 1 / count
            module(images)
            seen += len(images)
    finally:
        module.statistics_share = None
        module.train(was_training)
    return seen
