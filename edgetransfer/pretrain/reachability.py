"""Whether anything of an image still arrives at the features of a pruned network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from edgetransfer.errors import DataError
from edgetransfer.finetune.initializers import WEIGHTED
from edgetransfer.pretrain.network import HEAD_WEIGHT, Network

JOINING = frozenset(["Add", "Sum", "Concat", "Sub", "Max"])
"""Operators whose result depends on an image if one of their inputs does."""


def check_connected(net: Network, masks: Mapping[str, Tensor]) -> None:
    """Refuse masks that cut the features, or the logits, off from the image.

    Raises
    ------
    DataError
        Naming the layer at which nothing is left.
    """
    bare = {name for name, mask in masks.items() if not bool(mask.any())}
    if not bare:
        return
    alive = set(net.module.inputs)
    last = ""
    for step in net.module.steps:
        read = [name in alive for name in step.inputs if _is_activation(net, name)]
        carries = any(read) if step.operator in JOINING else bool(read) and all(read)
        if step.operator in WEIGHTED and bare & set(step.inputs):
            carries, last = False, last or next(iter(bare & set(step.inputs)))
        if carries:
            alive.update(step.outputs)
    if HEAD_WEIGHT in bare:
        last = HEAD_WEIGHT
    elif net.module.outputs[-1] in alive:
        return
    raise DataError(
        f"the target cannot be reached: layer {last!r} has no weight left and nothing leads around "
        "it, so that all images look alike; ask for a lower --sparsity, or --distribution uniform"
    )


def _is_activation(net: Network, name: str) -> bool:
    return not net.module.holds(name)
