"""Gradients of convolutions whose windows see one position: against sums in float64."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgetransfer.finetune.module import OnnxModule  # noqa: E402
from tests.graphs_made import Net, noise  # noqa: E402


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_every_step_and_padding(last: bool) -> None:
    for strides, pads in product(
        ([1, 3], [3, 1], [1, 2], [2, 2], [1, 1]), ([0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 1])
    ):
        net = Net(seed=3)
        y = net.add("Conv", "x", net.weights(8, 4, 1, 1), strides=strides, pads=pads, name="y")
        module = OnnxModule(net.model([2, 4, 9, 10], {y: [2, 8, None, None]})).train()
        images = noise(6, 4, 9, 10)
        x = torch.from_numpy(images)
        made = module(x.contiguous(memory_format=torch.channels_last) if last else x)
        way = noise(*made.shape, seed=7)
        (made * torch.from_numpy(way)).sum().backward()
        (gradient,) = [p.grad for _, p in module.trainable]
        padded = np.pad(images, ((0, 0), (0, 0), *zip(pads[:2], pads[2:], strict=True)))
        seen = padded.astype(np.float64)[:, :, :: strides[0], :: strides[1]]
        expected = np.einsum("nohw,nihw->oi", way.astype(np.float64), seen)
        np.testing.assert_allclose(gradient[:, :, 0, 0], expected, atol=1e-4)
