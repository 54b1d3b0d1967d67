"""Convolution and pooling with ONNX's padding rules, in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from edgetransfer.graphs.padding import same_padding

F = torch.nn.functional


class Window:
    """The window of one convolution or pooling: where it stands on the padded map.

    Parameters
    ----------
    read
        A node with the attributes ``kernel_shape``, ``strides``, ``dilations``, ``pads`` and
        ``auto_pad``.
    """

    def __init__(self, read: Any, kernel: Sequence[int]) -> None:
        rank = len(kernel)
        self.kernel = tuple(int(k) for k in kernel)
        self.strides = tuple(read.get("strides") or [1] * rank)
        self.dilations = tuple(read.get("dilations") or [1] * rank)
        self.auto = (read.get("auto_pad") or b"NOTSET").decode()
        self.pads = list(read.get("pads") or [0] * (2 * rank))
        if self.auto == "VALID":
            self.pads = [0] * (2 * rank)

    def pads_of(self, x: Tensor) -> list[int]:
        """Begins, then ends, of every spatial axis."""
        return self.pads_for(x.shape[2:])

    def pads_for(self, sizes: Sequence[int]) -> list[int]:
        """The same of a map of this size."""
        if not self.auto.startswith("SAME"):
            return self.pads
        begins, ends = [], []
        for size, k, stride, d in zip(
            sizes, self.kernel, self.strides, self.dilations, strict=True
        ):
            reach = (k - 1) * d + 1
            low, high = same_padding(size, reach, stride, upper=self.auto == "SAME_UPPER")
            begins.append(low)
            ends.append(high)
        return begins + ends

    def placed(self, x: Tensor, fill: float = 0.0) -> tuple[Tensor, tuple[int, ...]]:
        """The map, padded where torch's own padding cannot do it, and what torch is to pad."""
        pads = self.pads_of(x)
        rank = len(self.kernel)
        begins, ends = pads[:rank], pads[rank:]
        if begins == ends:
            return x, tuple(begins)
        return F.pad(x, _torch_order(begins, ends), value=fill), (0,) * rank

    def seen(self, x: Tensor) -> Tensor:
        """What windows of one position see of a map: every `strides`-th position, padded."""
        rank = len(self.kernel)
        pads = self.pads_of(x)
        if any(pads):
            x = F.pad(x, _torch_order(pads[:rank], pads[rank:]))
        order = torch.channels_last if rank == 2 and _is_channels_last(x) else None
        x = x[(slice(None), slice(None), *(slice(None, None, step) for step in self.strides))]
        return x.contiguous(memory_format=order or torch.contiguous_format)


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _torch_order(begins: Sequence[int], ends: Sequence[int]) -> list[int]:
    return [
        p for begin, end in zip(reversed(begins), reversed(ends), strict=True) for p in (begin, end)
    ]


def _conv(read: Any, _inplace: bool) -> Callable[..., Tensor]:
    weights = read.graph.initializers.get(read.node.input[1])
    kernel = read.get("kernel_shape") or (list(weights.dims[2:]) if weights is not None else [1, 1])
    window, groups = Window(read, kernel), read.get("group", 1)
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(kernel)]

    # torch 2.13 sums wrong gradients of weights, by a good half at times, where 1x1 windows take
    # uneven steps over a map in channels-last order: here they get only what they see.
    sparing = all(k == 1 for k in kernel) and any(step > 1 for step in window.strides)

    def call(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        if sparing:
            return function(window.seen(x), w, b, groups=groups)
        x, padding = window.placed(x)
        return function(x, w, b, window.strides, padding, window.dilations, groups)

    return call


def _max_pool(read: Any, _inplace: bool) -> Callable[..., Tensor]:
    window, ceil = Window(read, read.get("kernel_shape")), bool(read.get("ceil_mode", 0))

    def call(x: Tensor) -> Tensor:
        x, padding = window.placed(x, fill=float("-inf"))
        if any(2 * p > k for p, k in zip(padding, window.kernel, strict=True)):
            x = F.pad(x, _torch_order(padding, padding), value=float("-inf"))
            padding = (0,) * len(padding)
        return F.max_pool2d(
            x, window.kernel, window.strides, padding, window.dilations, ceil_mode=ceil
        )

    return call


def _average_pool(read: Any, _inplace: bool) -> Callable[..., Tensor]:
    window, ceil = Window(read, read.get("kernel_shape")), bool(read.get("ceil_mode", 0))
    with_pads = bool(read.get("count_include_pad", 0))

    def call(x: Tensor) -> Tensor:
        placed, padding = window.placed(x)
        pooled = F.avg_pool2d(
            placed, window.kernel, window.strides, padding, ceil, count_include_pad=with_pads
        )
        if placed is x or with_pads:
            return pooled
        # torch counts what was padded beforehand: undo it by the share of true positions.
        true, _ = window.placed(torch.ones_like(x[:1, :1]))
        return pooled / F.avg_pool2d(true, window.kernel, window.strides, padding, ceil)

    return call


WINDOWED: dict[str, Callable[[Any, bool], Callable[..., Tensor]]] = {
    "Conv": _conv,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
}
