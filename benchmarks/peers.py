"""The peers that the benchmarks measure against, set up as their own users would."""

from __future__ import annotations

from typing import Any

import onnx


def torch_module(frozen: onnx.ModelProto) -> Any:
    """The same graph as a torch module in evaluation mode; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    from edgetransfer.finetune.module import OnnxModule

    module = OnnxModule(frozen).eval()
    return torch.inference_mode()(module.forward)
