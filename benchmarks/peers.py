"""The peers that the benchmarks measure against, set up as their own users would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx


def quantised(
    frozen: onnx.ModelProto, folder: Path, *, per_channel: bool = True, operators: bool = False
) -> onnx.ModelProto:
    """A frozen backbone in int8, by ONNX Runtime's static quantisation.

    Calibrated on random input: right for speed, worthless for accuracy.

    Parameters
    ----------
    per_channel
        A scale for each filter, rather than for each tensor.
    operators
        Quantised operators (QLinearConv, …), rather than quantise-dequantise pairs.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    dims = [d.dim_value for d in frozen.graph.input[0].type.tensor_type.shape.dim]

    class Noise(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = 1

        def get_next(self) -> dict[str, Any] | None:
            self.left -= 1
            noise = np.random.default_rng(0).standard_normal(dims, np.float32)
            return {frozen.graph.input[0].name: noise} if self.left >= 0 else None

    source, ready, target = (folder / f"{n}.onnx" for n in ("float", "ready", "int8"))
    onnx.save(frozen, str(source))
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready),
        str(target),
        Noise(),
        quant_format=QuantFormat.QOperator if operators else QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return onnx.load(str(target))


def torch_module(frozen: onnx.ModelProto) -> Any:
    """The same graph as a torch module in evaluation mode; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    from edgetransfer.finetune.module import OnnxModule

    module = OnnxModule(frozen).eval()
    return torch.inference_mode()(module.forward)
