"""MobileNetV3 (Howard et al., "Searching for MobileNetV3", ICCV 2019, tables 1 and 2).

Parameters have torchvision's names. Features are what the last fully connected layer reads, so
the one before it is part of the backbone.
"""

from __future__ import annotations

from edgetransfer.backbones.architectures.inverted import inverted_residual, rounded
from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Activation,
    Architecture,
    Conventions,
    ConvLayer,
    GateLayer,
    Layer,
    NeckLayer,
)

STEM = 16
SQUEEZE = 4  # of a block's inner channels to those inside its gate, before they are rounded
# Kernel, expanded channels, outputs, whether there is a gate, activation, stride of each block.
Block = tuple[int, int, int, bool, Activation, int]
LARGE: tuple[Block, ...] = (
    (3, 16, 16, False, "relu", 1),
    *((3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1)),
    *((5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1)),
    *((3, 240, 80, False, "hardswish", 2), (3, 200, 80, False, "hardswish", 1)),
    *((3, 184, 80, False, "hardswish", 1), (3, 184, 80, False, "hardswish", 1)),
    *((3, 480, 112, True, "hardswish", 1), (3, 672, 112, True, "hardswish", 1)),
    *((5, 672, 160, True, "hardswish", 2), (5, 960, 160, True, "hardswish", 1)),
    (5, 960, 160, True, "hardswish", 1),
)
SMALL: tuple[Block, ...] = (
    (3, 16, 16, True, "relu", 2),
    *((3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1)),
    *((5, 96, 40, True, "hardswish", 2), (5, 240, 40, True, "hardswish", 1)),
    *((5, 240, 40, True, "hardswish", 1), (5, 120, 48, True, "hardswish", 1)),
    *((5, 144, 48, True, "hardswish", 1), (5, 288, 96, True, "hardswish", 2)),
    *((5, 576, 96, True, "hardswish", 1), (5, 576, 96, True, "hardswish", 1)),
)


def mobilenet_v3(name: str, blocks: tuple[Block, ...], *, features: int) -> Architecture:
    """A MobileNetV3 of width 1.0."""
    layers: list[Layer] = [
        ConvLayer(
            name="features.0.0",
            norm="features.0.1",
            source=INPUT,
            inputs=3,
            outputs=STEM,
            kernel=3,
            stride=2,
            activation="hardswish",
        )
    ]
    channels = STEM
    for index, block in enumerate(blocks, start=1):
        layers += _block(f"features.{index}.block", layers[-1].name, channels, block)
        channels = block[2]
    last = f"features.{len(blocks) + 1}"
    widest = blocks[-1][1]
    layers.append(
        ConvLayer(
            name=f"{last}.0",
            norm=f"{last}.1",
            source=layers[-1].name,
            inputs=channels,
            outputs=widest,
            kernel=1,
            activation="hardswish",
        )
    )
    return Architecture(
        name=name,
        layers=tuple(layers),
        classifier="classifier.3",
        neck=(
            NeckLayer(name="classifier.0", inputs=widest, outputs=features, activation="hardswish"),
        ),
        conventions=Conventions(epsilon=1e-3),
    )


def _block(prefix: str, source: str, inputs: int, block: Block) -> list[Layer]:
    kernel, hidden, outputs, gated, activation, stride = block

    def gate(of: str, before: int) -> GateLayer:
        at = f"{prefix}.{before}"
        return GateLayer(
            name=at,
            reduce=f"{at}.fc1",
            expand=f"{at}.fc2",
            source=of,
            channels=hidden,
            hidden=rounded(hidden // SQUEEZE),
            activation="relu",
            gate="hardsigmoid",
        )

    return inverted_residual(
        source,
        channels=(inputs, hidden, outputs),
        kernel=kernel,
        stride=stride,
        activation=activation,
        names=lambda _part, before: (f"{prefix}.{before}.0", f"{prefix}.{before}.1"),
        gate=gate if gated else None,
    )
