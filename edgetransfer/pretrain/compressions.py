"""What a compressed network keeps: the largest weights, N of every M, or all of them rounded.

Counts are exact: of equal magnitudes the earlier ones go first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from edgetransfer.errors import UsageError
from edgetransfer.graphs.pruning import layer_sparsities
from edgetransfer.pretrain.network import WeightedLayer
from edgetransfer.settings.policy_options import Spread
from edgetransfer.settings.sparsify import Pattern

Masks = dict[str, Tensor]
"""True where a weight is kept."""


class Compression(Protocol):
    """A projection of weights; the layers are those that it is applied to."""

    def masks(self, scores: Mapping[str, Tensor]) -> Masks | None:
        """What is kept by these scores, of any sign; None if no weight goes."""

    def __call__(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Masks | None]:
        """The compressed weights, and what is kept."""


@dataclass(frozen=True, kw_only=True)
class TopK:
    """The largest magnitudes (T_k of thesis 3.3.1), over all layers or in each of them.

    Parameters
    ----------
    sparsity
        The share that goes, 0 to below 1.
    distribution
        ``global``, or a count for each layer: ``uniform``, ``erk``.
    """

    sparsity: float
    distribution: Spread = "global"

    def masks(self, scores: Mapping[str, Tensor]) -> Masks:
        """See `Compression.masks`."""
        if self.distribution == "global":
            flat = torch.cat([score.detach().abs().reshape(-1) for score in scores.values()])
            kept = largest(flat, round(self.sparsity * flat.numel()))
            parts = kept.split([score.numel() for score in scores.values()])
            return {
                name: part.view(score.shape)
                for (name, score), part in zip(scores.items(), parts, strict=True)
            }
        counts = self.pruned_counts(scores)
        return {
            name: largest(score.detach().abs().reshape(-1), counts[name]).view(score.shape)
            for name, score in scores.items()
        }

    def pruned_counts(self, scores: Mapping[str, Tensor]) -> dict[str, int]:
        """How many weights go in each layer, where that does not depend on the weights."""
        hollow = {n: np.broadcast_to(np.float32(0), tuple(s.shape)) for n, s in scores.items()}
        shares = layer_sparsities(hollow, self.sparsity, self.distribution)
        return {name: round(shares[name] * score.numel()) for name, score in scores.items()}

    def __call__(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Masks]:
        """See `Compression`."""
        return _masked(weights, self.masks(weights))


@dataclass(frozen=True, kw_only=True)
class NOfM:
    """N of every M weights that follow one another along the input channels (thesis 2.2.3).

    Layers whose channels do not divide into blocks stay as they are.
    """

    pattern: Pattern
    layers: Mapping[str, WeightedLayer]

    def masks(self, scores: Mapping[str, Tensor]) -> Masks:
        """See `Compression.masks`."""
        return {
            name: self._mask(score.detach().abs(), self.layers[name].input_axis)
            for name, score in scores.items()
            if self.fits(name, score)
        }

    def fits(self, name: str, weight: Tensor) -> bool:
        """Whether a layer divides into blocks."""
        return weight.shape[self.layers[name].input_axis] % (self.pattern.block or 1) == 0

    def _mask(self, sizes: Tensor, axis: int) -> Tensor:
        keep, block = self.pattern.keep or 1, self.pattern.block or 1
        moved = sizes.movedim(axis, -1)
        grouped = moved.reshape(*moved.shape[:-1], -1, block)
        # Stable and from the smallest up, so that of equal ones the earlier go first.
        order = grouped.argsort(dim=-1, stable=True)
        kept = torch.ones_like(grouped, dtype=torch.bool)
        kept.scatter_(-1, order[..., : block - keep], False)
        return kept.reshape(moved.shape).movedim(-1, axis)

    def __call__(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Masks]:
        """See `Compression`."""
        return _masked(weights, self.masks(weights))


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """Symmetric rounding to the nearest of ``2**bits - 1`` levels a channel (thesis 5.4.1)."""

    bits: int
    layers: Mapping[str, WeightedLayer]

    def masks(self, scores: Mapping[str, Tensor]) -> None:
        """See `Compression.masks`."""
        del scores

    def __call__(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], None]:
        """See `Compression`."""
        most = 2 ** (self.bits - 1) - 1
        rounded = {}
        for name, weight in weights.items():
            others = [d for d in range(weight.ndim) if d != self.layers[name].output_axis]
            scale = weight.detach().abs().amax(dim=others, keepdim=True) / most
            scale = scale.clamp_min(torch.finfo(weight.dtype).tiny)
            rounded[name] = (weight / scale).round().clamp(-most, most) * scale
        return rounded, None


def _masked(weights: Mapping[str, Tensor], masks: Masks) -> tuple[dict[str, Tensor], Masks]:
    return {n: w * masks[n] if n in masks else w for n, w in weights.items()}, masks


def largest(sizes: Tensor, pruned: int) -> Tensor:
    """A boolean mask, (N,), that is False at the ``pruned`` smallest of (N,) sizes."""
    if pruned <= 0:
        return torch.ones_like(sizes, dtype=torch.bool)
    threshold = sizes.kthvalue(pruned).values
    kept = sizes > threshold
    ties = (sizes == threshold).nonzero().view(-1)
    spare = int(kept.numel() - pruned - kept.sum())
    if spare > 0:
        kept[ties[len(ties) - spare :]] = True
    return kept


def check_reachable(
    compression: Compression, weights: Mapping[str, Tensor], *, flag: str = "--sparsity"
) -> None:
    """Refuse a target that leaves a layer without a weight whatever the weights are.

    Raises
    ------
    UsageError
        With the most that can be had.
    """
    if isinstance(compression, NOfM):
        if not any(compression.fits(name, weight) for name, weight in weights.items()):
            raise UsageError(
                f"--pattern: no layer's input channels divide by {compression.pattern.block}, so "
                "that the pattern cannot be had in this network; another --width, or no --pattern"
            )
        return
    if not isinstance(compression, TopK):
        return
    sizes = {name: weight.numel() for name, weight in weights.items()}
    total = sum(sizes.values())
    if compression.distribution == "global":
        bare = len(sizes) > total - round(compression.sparsity * total)
        most = 1 - len(sizes) / total
    else:
        counts = compression.pruned_counts(weights)
        bare = any(counts[name] >= size for name, size in sizes.items())
        most = 1 - 1 / min(sizes.values())
    if bare:
        raise UsageError(
            f"{flag} {compression.sparsity:g} cannot be reached: of {total:,} weights in "
            f"{len(sizes)} layers each layer needs one; at most {most:.4g}"
            + ("" if compression.distribution == "global" else ", or --distribution global")
        )
