"""WoodFisher and M-FAC: gradual pruning by the optimal brain surgeon; thesis 2.2.2.

As gradual magnitude pruning, but at each change the loss that a weight's going costs,
w² / (2 [F⁻¹]qq), is compared over all layers at once ("joint"), and the weights that stay make up
for those that go: the updates -w_q F⁻¹e_q / [F⁻¹]qq of all pruned ones are summed, each as if it
went alone, and the mask is applied. F is the empirical Fisher matrix of ``fisher_samples``
gradients of ``fisher_batch`` photos each: of blocks in each layer (WoodFisher), or of each layer
whole (M-FAC).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from edgetransfer.errors import DataError
from edgetransfer.pretrain.compressions import Masks, TopK
from edgetransfer.pretrain.fisher import BlockFisher, InverseFisher, MatrixFreeFisher
from edgetransfer.pretrain.objectives import Batch
from edgetransfer.pretrain.policies.gradual import Gradual
from edgetransfer.pretrain.reachability import check_connected

CHANGES = 10  # of the mask, where nothing is said


class SecondOrder(Gradual):
    """Gradual pruning by the Fisher matrix's inverse."""

    def usual_interval(self) -> int:
        """Steps between masks where nothing is said."""
        return max(1, (self.last - self.first) // CHANGES)

    def inverse(self, gradients: Tensor) -> InverseFisher:
        """F⁻¹ of a layer from (m, n) gradients."""
        damping: float = self.settings.option("damping")
        if self.settings.policy == "woodfisher":
            return BlockFisher(gradients, damping, self.settings.option("block"))
        return MatrixFreeFisher(gradients, damping)

    def prune(self, wanted: TopK, step: int) -> None:
        """See `Gradual.prune`."""
        gradients = self._gradients(step)
        inverses = {name: self.inverse(rows) for name, rows in gradients.items()}
        scores = {}
        for name, weight in self.net.prunable.items():
            diagonal = inverses[name].diagonal().view(weight.shape).clamp_min(1e-30)
            scores[name] = weight.detach().square() / (2 * diagonal)
        masks = wanted.masks(self.alive(scores))
        check_connected(self.net, masks)
        self._make_up(masks, inverses)
        self.training.compress(masks)

    @torch.no_grad()
    def _make_up(self, masks: Masks, inverses: dict[str, InverseFisher]) -> None:
        for name, weight in self.net.prunable.items():
            flat = weight.detach().reshape(-1)
            going = torch.where(masks[name].reshape(-1), torch.zeros_like(flat), flat)
            diagonal = inverses[name].diagonal().clamp_min(1e-30)
            weight -= inverses[name].times(going / diagonal).view(weight.shape)

    def _gradients(self, step: int) -> dict[str, Tensor]:
        """(m, n) a layer: gradients where the weights are, masked as they are; none is learned."""
        rows: dict[str, list[Tensor]] = {name: [] for name in self.net.prunable}
        net = self.net
        net.module.train()
        with net.module.recomputing():
            for batch in self._batches(step):
                self.training.gradients(batch)
                net.mask_gradients()
                for name, weight in net.prunable.items():
                    assert weight.grad is not None
                    rows[name].append(weight.grad.reshape(-1).clone())
        self.training.optimiser.zero_grad(set_to_none=True)
        found = {name: torch.stack(gradients) for name, gradients in rows.items()}
        if not all(bool(g.isfinite().all()) for g in found.values()):
            raise DataError(
                f"the training diverged before step {step}: gradients are not finite; start anew "
                "with a lower --learning-rate"
            )
        return found

    def _batches(self, step: int) -> Iterator[Batch]:
        samples: int = self.settings.option("fisher_samples")
        return self.training.samples(samples, self.settings.option("fisher_batch"), step)
