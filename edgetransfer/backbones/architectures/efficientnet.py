"""EfficientNet (Tan and Le, 2019, table 1) and EfficientNet-Lite.

Lite leaves out squeeze and excitation, has ReLU6 for SiLU, and its stem, first and last stage
and last convolution are not scaled (Liu, "Higher accuracy on vision models with
EfficientNet-Lite", 2020). Parameters have the names of the first port to torch, which ports of
both share: ``_blocks.INDEX._depthwise_conv``.
"""

from __future__ import annotations

import math

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
DIVISOR = 8
TENSORFLOW = Conventions(padding="same", epsilon=1e-3)


def efficientnet(name: str, *, width: float, depth: float, lite: bool) -> Architecture:
    """An EfficientNet of so many times B0's channels and blocks."""
    activation: Activation = "relu6" if lite else "silu"
    stem = STEM if lite else _round_channels(STEM, width)
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
                channels=(channels, channels * expansion, _round_channels(outputs, width)),
                kernel=kernel,
                stride=stride if repetition == 0 else 1,
                activation=activation,
                gated=not lite,
            )
            channels, index = _round_channels(outputs, width), index + 1
    layers.append(
        ConvLayer(
            name="_conv_head",
            norm="_bn1",
            source=layers[-1].name,
            inputs=channels,
            outputs=HEAD if lite else _round_channels(HEAD, width),
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


def _round_channels(channels: int, width: float) -> int:
    """To the nearest multiple of 8, but never down by more than a tenth."""
    wanted = channels * width
    rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * wanted else rounded


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
    """An inverted residual block (Sandler et al., 2018), perhaps with a gate inside."""
    inputs, hidden, outputs = channels
    found: list[Layer] = []
    if hidden != inputs:
        found.append(
            ConvLayer(
                name=f"{prefix}._expand_conv",
                norm=f"{prefix}._bn0",
                source=source,
                inputs=inputs,
                outputs=hidden,
                kernel=1,
                activation=activation,
            )
        )
    found.append(
        ConvLayer(
            name=f"{prefix}._depthwise_conv",
            norm=f"{prefix}._bn1",
            source=found[-1].name if found else source,
            inputs=hidden,
            outputs=hidden,
            kernel=kernel,
            stride=stride,
            groups=hidden,
            activation=activation,
        )
    )
    if gated:
        found.append(
            GateLayer(
                name=f"{prefix}._se",
                reduce=f"{prefix}._se_reduce",
                expand=f"{prefix}._se_expand",
                source=found[-1].name,
                channels=hidden,
                hidden=inputs // SQUEEZE,
                activation=activation,
            )
        )
    same = stride == 1 and inputs == outputs
    found.append(
        ConvLayer(
            name=f"{prefix}._project_conv",
            norm=f"{prefix}._bn2",
            source=found[-1].name,
            inputs=hidden,
            outputs=outputs,
            kernel=1,
            activation=None,
            shortcut=source if same else None,
            entry=source if stride == 1 and not same else None,
        )
    )
    return found
