"""Maps in lanes as torch sees them, and the layers over them as functions with gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from edgetransfer.masked import MaskedConvolution, TrainingThreads
from edgetransfer.masked.convolution import Limits
from edgetransfer.masked.norm import Normalisation, channel_sums, let_through, moments_of
from edgetransfer.types import Float32Array


@dataclass(frozen=True)
class Laned:
    """A tensor (N, C, H, W), or (N, C), that lies as (blocks, H, W, C, 16).

    Lanes that no image fills hold anything; their gradients are zero.

    Parameters
    ----------
    map
        float32, contiguous.
    images
        N.
    flat
        Whether it is an (N, C); H and W are 1 then.
    """

    map: Tensor
    images: int
    flat: bool = False

    def with_map(self, other: Tensor) -> Laned:
        """Another map of the same images."""
        return Laned(other, self.images, self.flat)


def to_lanes(x: Tensor, threads: TrainingThreads) -> Laned:
    """Lay a tensor (N, C, H, W) or (N, C) in lanes."""
    flat = x.ndim == 2
    shaped = x[:, :, None, None] if flat else x
    return Laned(_ToLanes.apply(shaped.float(), threads), len(x), flat)


def from_lanes(x: Laned, threads: TrainingThreads) -> Tensor:
    """Back to (N, C, H, W), channels last, or (N, C)."""
    found: Tensor = _FromLanes.apply(x.map, x.images, threads)
    return found[:, :, 0, 0] if x.flat else found


def convolved(
    x: Laned,
    weights: Tensor,
    bias: Tensor | None,
    layer: MaskedConvolution,
    limits: Limits | None = None,
) -> Laned:
    """A convolution at a fixed mask, and limits behind it; weights are (O, C / groups, kh, kw)."""
    return x.with_map(_Convolution.apply(x.map, weights, bias, layer, limits))


def normalised(
    x: Laned,
    scale: Tensor,
    shift: Tensor,
    statistics: tuple[Tensor, Tensor],
    *,
    share: float,
    epsilon: float,
    rectified: bool,
    threads: TrainingThreads,
) -> Laned:
    """Batch-norm that learns its statistics, in place, and the ReLU behind it if there is one."""
    moments = moments_of(_array(x.map), x.images, threads)
    layer = Normalisation(
        moments=moments,
        scale=_array(scale),
        shift=_array(shift),
        epsilon=epsilon,
        rectified=rectified,
        images=x.images,
    )
    unbiased = moments.variance * np.float32(moments.count / max(moments.count - 1, 1))
    with torch.no_grad():
        for kept, new in zip(statistics, (moments.mean, unbiased), strict=True):
            kept.lerp_(torch.from_numpy(new), share)
    return x.with_map(_Norm.apply(x.map, scale, shift, layer, threads))


def _array(tensor: Tensor) -> Float32Array:
    found: Float32Array = tensor.detach().contiguous().numpy()
    return found


def _placed(weights: Tensor) -> Float32Array:
    """(O, C, kh, kw) as (O, kh, kw, C), which is how channels-last weights lie."""
    return _array(weights.detach().permute(0, 2, 3, 1))


class _ToLanes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, threads: TrainingThreads) -> Tensor:
        ctx.threads, ctx.images = threads, len(x)
        return torch.from_numpy(threads.to_lanes(_placed(x)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        found = ctx.threads.from_lanes(_array(gradient), ctx.images)
        return torch.from_numpy(found).permute(0, 3, 1, 2), None


class _FromLanes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, images: int, threads: TrainingThreads) -> Tensor:
        ctx.threads = threads
        return torch.from_numpy(threads.from_lanes(_array(x), images)).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return torch.from_numpy(ctx.threads.to_lanes(_placed(gradient.float()))), None, None


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        layer: MaskedConvolution,
        limits: Limits | None,
    ) -> Tensor:
        ctx.layer, ctx.limits = layer, limits
        own = None if bias is None else _array(bias)
        y = torch.from_numpy(layer.forward(_array(x), _placed(weights), own, limits))
        ctx.save_for_backward(x, weights, *([] if limits is None else [y]))
        return y

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        x, weights, *made = ctx.saved_tensors
        layer: MaskedConvolution = ctx.layer
        g, sums = _array(gradient), None
        if made:
            g, sums = let_through(g, _array(made[0]), ctx.limits, layer.threads)
        by_input = by_weights = by_bias = None
        if ctx.needs_input_grad[0]:
            size = (x.shape[1], x.shape[2])
            by_input = torch.from_numpy(layer.input_gradient(g, _placed(weights), size))
        if ctx.needs_input_grad[1]:
            by_weights = torch.from_numpy(layer.weight_gradient(_array(x), g)).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[2]:
            by_bias = torch.from_numpy(channel_sums(g, layer.threads) if sums is None else sums)
        return by_input, by_weights, by_bias, None, None


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        layer: Normalisation,
        threads: TrainingThreads,
    ) -> Tensor:
        ctx.layer, ctx.threads = layer, threads
        ctx.save_for_backward(x)
        return torch.from_numpy(layer.forward(_array(x), threads))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        (x,) = ctx.saved_tensors
        found = ctx.layer.backward(_array(x), _array(gradient), ctx.threads)
        by_x, by_scale, by_shift = (torch.from_numpy(a) for a in found)
        return by_x, by_scale, by_shift, None, None
