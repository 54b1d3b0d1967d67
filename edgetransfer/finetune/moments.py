"""Mean and variance of what convolutions make of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
import torch
from torch import Tensor

from edgetransfer.finetune.batchnorm import Statistics
from edgetransfer.finetune.module import OnnxModule

AT_ONCE = 10  # images: what more of them leave behind is mapped anew each time


@torch.no_grad()
def output_moments(
    model: onnx.ModelProto,
    outputs: Mapping[str, str],
    batches: Iterable[Tensor],
) -> Statistics:
    """Mean and variance of each channel of some convolutions' outputs.

    Parameters
    ----------
    model
        A frozen network.
    outputs
        Weights of a convolution, by name, to its output tensor.
    batches
        (n, 3, S, S) float32 images each.
    """
    if not outputs:
        return {}
    module = OnnxModule(model, outputs=list(outputs.values()), overwrite=False).eval()
    sums = {name: np.zeros((2, 1)) for name in outputs}
    count = dict.fromkeys(outputs, 0)
    for images in (part for batch in batches for part in batch.split(AT_ONCE)):
        found = module(images)
        tensors = found if isinstance(found, tuple) else (found,)
        for name, tensor in zip(outputs, tensors, strict=True):
            others = [axis for axis in range(tensor.ndim) if axis != 1]
            var, mean = (
                part.numpy().astype(np.float64)
                for part in torch.var_mean(tensor, dim=others, correction=0)
            )
            each = tensor.numel() // tensor.shape[1]
            sums[name] = sums[name] + each * np.stack([mean, var + mean**2])
            count[name] += each
    statistics = {}
    for name, (first, second) in sums.items():
        mean = first / max(count[name], 1)
        var = np.maximum(second / max(count[name], 1) - mean**2, 0)
        statistics[name] = (mean.astype(np.float32), var.astype(np.float32))
    return statistics
