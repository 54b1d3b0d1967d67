"""What a training cost and what its masks did, epoch by epoch.

Multiply-adds as thesis A.2.3 counts: those of convolutions and fully connected layers; a step's
backward pass twice as many as its forward pass, each policy saying which of them are sparse.
"""

from __future__ import annotations

from typing import Any

import torch

from edgetransfer.pretrain.network import Network, Tensors
from edgetransfer.pretrain.policies import Policy


class Accounting:
    """Sums of one training.

    Parameters
    ----------
    macs
        Multiply-adds of the training so far.
    dense_macs
        What plain training would have taken for the same images.
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        self.full = float(self._inference())
        self.active = self.full
        self._seen_changes = -1
        self.macs = self.dense_macs = 0.0
        self._before: Tensors = {}

    def _inference(self, kept: Tensors | None = None) -> int:
        """Multiply-adds of one image: of all weights, or of those that are kept."""
        total = 0
        for name, layer in self._net.layers.items():
            weight = self._net.parameters[name]
            count = weight.numel() if kept is None else int(kept[name].sum())
            total += count * layer.positions
        return total

    def _kept(self, policy: Policy) -> Tensors:
        """Of each layer, what is in effect: by its mask, or by not being zero."""
        shown, masks = policy.shown(), self._net.masks
        used = {n: masks.get(n, shown.get(n, self._net.parameters[n])) for n in self._net.layers}
        return {name: tensor.detach() != 0 for name, tensor in used.items()}

    def count(self, policy: Policy, images: int) -> None:
        """Count a step."""
        if policy.training.mask_changes != self._seen_changes:
            self._seen_changes = policy.training.mask_changes
            self.active = float(self._inference(self._kept(policy)))
        self.macs += images * policy.cost(self.full, self.active)
        self.dense_macs += images * 3 * self.full

    def epoch(self, policy: Policy) -> dict[str, Any]:
        """The record of an epoch that ends now."""
        net, kept = self._net, self._kept(policy)
        self.active = float(self._inference(kept))
        masks = {name: mask.bool().cpu() for name, mask in net.masks.items()}
        total = sum(weight.numel() for weight in net.prunable.values())
        record = {
            "sparsity": 1 - sum(int(kept[name].sum()) for name in net.prunable) / total,
            **self._changes(masks),
            "pruned_filters": _pruned_filters(net, kept),
            "inference_macs": self.active,
            "training_macs": self.macs,
            "training_macs_over_dense": self.macs / self.dense_macs if self.dense_macs else 1.0,
        }
        if masks:
            self._before = masks
        return record

    def _changes(self, masks: Tensors) -> dict[str, float | None]:
        """What the masks are to the last ones before (thesis 3.4.2, figure 3.2b).

        The share of what is kept that was pruned then, and what both keep over what either does.
        """
        if not masks or not self._before:
            return {"mask_change": None, "mask_iou": None}
        pairs = [(m, self._before[name]) for name, m in masks.items() if name in self._before]
        kept = sum(int(now.sum()) for now, _ in pairs)
        new = sum(int((now & ~before).sum()) for now, before in pairs)
        either = sum(int((now | before).sum()) for now, before in pairs)
        return {
            "mask_change": new / kept if kept else 0.0,
            "mask_iou": (kept - new) / either if either else 1.0,
        }

    def state(self) -> Tensors:
        """For a checkpoint."""
        sums = torch.tensor([self.macs, self.dense_macs, self.active], dtype=torch.float64)
        return {"sums": sums, **{f"before/{n}": m.contiguous() for n, m in self._before.items()}}

    def restore(self, state: Tensors) -> None:
        """Go on from what `state` gave."""
        self.macs, self.dense_macs, self.active = state["sums"].tolist()
        self._before = {
            n.removeprefix("before/"): m for n, m in state.items() if n.startswith("before/")
        }


def _pruned_filters(net: Network, kept: Tensors) -> float:
    """The share of convolution filters without a weight left (paper, Table 4)."""
    filters = bare = 0
    for name, mask in kept.items():
        if mask.ndim != 4:
            continue
        rows = mask.movedim(net.layers[name].output_axis, 0).flatten(1).any(dim=1)
        filters += len(rows)
        bare += int((~rows).sum())
    return bare / filters if filters else 0.0
