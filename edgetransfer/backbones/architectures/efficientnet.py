"""EfficientNet (Tan and Le, 2019, table 1) and EfficientNet-Lite.

Lite leaves out squeeze and excitation, has ReLU6 for SiLU, and its stem, first and last stage
and last convolution are not scaled (Liu, "Higher accuracy on vision models with
EfficientNet-Lite", 2020). Parameters have the names of the first port to torch, which ports of
both share: ``_blocks.INDEX._depthwise_conv``.
"""

from __future__ import annotations

import math

from edgetransfer.backbones.architectures.inverted import inverted_residual, rounded
from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Activation,
    Architecture,
    Conventions,
    ConvLayer,
    GateLayer,
    Layer,
)

# Expansion, kernel, stride, outputs, repetitions of each stage, before scaling.
STAGES = (
    *((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3)),
    *((6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)),
)
STEM, HEAD = 32, 1280
SQUEEZE = 4  # of a block's inputs to the channels inside its gate
TENSORFLOW = Conventions(padding="same", epsilon=1e-3)


def efficientnet(name: str, *, width: float, depth: float, lite: bool) -> Architecture:
    """An EfficientNet of so many times B0's channels and blocks."""
    activation: Activation = "relu6" if lite else "silu"
    stem = STEM if lite else rounded(STEM * width)
    layers: list[Layer] = [
        ConvLayer(
            name="_conv_stem",
            norm="_bn0",
            source=INPUT,
            inputs=3,
            outputs=stem,
            kernel=3,
            stride=2,
            activation=activation,
        )
    ]
    channels, index = stem, 0
    for stage, (expansion, kernel, stride, outputs, _) in enumerate(STAGES):
        for repetition in range(repetitions(depth, lite=lite)[stage]):
            layers += _block(
                f"_blocks.{index}",
                layers[-1].name,
                channels=(channels, channels * expansion, rounded(outputs * width)),
                kernel=kernel,
                stride=stride if repetition == 0 else 1,
                activation=activation,
                gated=not lite,
            )
            channels, index = rounded(outputs * width), index + 1
    layers.append(
        ConvLayer(
            name="_conv_head",
            norm="_bn1",
            source=layers[-1].name,
            inputs=channels,
            outputs=HEAD if lite else rounded(HEAD * width),
            kernel=1,
            activation=activation,
        )
    )
    return Architecture(name=name, layers=tuple(layers), classifier="_fc", conventions=TENSORFLOW)


def repetitions(depth: float, *, lite: bool) -> tuple[int, ...]:
    """Blocks in each stage."""
    last = len(STAGES) - 1
    return tuple(
        count if lite and stage in (0, last) else math.ceil(count * depth)
        for stage, (*_, count) in enumerate(STAGES)
    )


def _block(
    prefix: str,
    source: str,
    *,
    channels: tuple[int, int, int],
    kernel: int,
    stride: int,
    activation: Activation,
    gated: bool,
) -> list[Layer]:
    def gate(of: str, _before: int) -> GateLayer:
        return GateLayer(
            name=f"{prefix}._se",
            reduce=f"{prefix}._se_reduce",
            expand=f"{prefix}._se_expand",
            source=of,
            channels=channels[1],
            hidden=channels[0] // SQUEEZE,
            activation=activation,
        )

    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return inverted_residual(
        source,
        channels=channels,
        kernel=kernel,
        stride=stride,
        activation=activation,
        names=lambda part, _before: (f"{prefix}._{part}_conv", f"{prefix}.{norms[part]}"),
        gate=gate if gated else None,
    )
