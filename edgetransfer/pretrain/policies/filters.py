"""Structured pruning by L1 norm: Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017;
paper, appendix on structured sparsity; thesis B.5.

After ``prune_from`` of the training, each convolution with a batch-norm loses the share
``sparsity`` of its filters that have the smallest sums of magnitudes, in one go, with the scale and
shift of their batch-norm; what is left is trained on. Layers whose outputs are added to others'
keep their filters, as in section 3.3 there for residual networks. The dead channels are then cut
out of the graph: the network is dense and small. Guaranteed: each such layer loses exactly the
rounded number of filters, and the cut network computes the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgetransfer.errors import UsageError
from edgetransfer.pretrain.compressions import largest
from edgetransfer.pretrain.policies.policy import Policy
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.pretrain import Pretraining


class Filters(Policy):
    """Whole filters of small L1 norm go."""

    def __init__(self, settings: Pretraining, training: Training) -> None:
        super().__init__(settings, training)
        self.first = round(settings.option("prune_from") * training.horizon.steps)
        self.layers = self._layers()
        if not self.layers:
            raise UsageError(
                "--policy filters: no convolution of this network has a batch-norm and an output "
                "that only one other layer reads, so that no filter can be cut out"
            )

    def _layers(self) -> dict[str, Tensor]:
        """Weights of the layers that may lose filters."""
        return {
            name: weight
            for name, weight in self.net.prunable.items()
            if weight.ndim == 4
            and (layer := self.net.layers[name]).norm is not None
            and layer.is_inside
            and not layer.depthwise
        }

    @torch.no_grad()
    def before_step(self, step: int) -> None:
        """See `Policy.before_step`."""
        if step != self.first:
            return
        share: float = self.settings.option("sparsity")
        masks: dict[str, Tensor] = {}
        for name, weight in self.layers.items():
            norms = weight.detach().abs().flatten(1).sum(dim=1)
            kept = largest(norms, min(round(share * len(norms)), len(norms) - 1))
            masks[name] = kept.view(-1, 1, 1, 1).expand_as(weight)
            for parameter in self.net.layers[name].norm or ():
                masks[parameter] = kept
        self.training.compress(masks)

    @property
    def cuts_channels(self) -> bool:
        """See `Policy.cuts_channels`."""
        return True
