"""RegNetY (Radosavovic et al., "Designing Network Design Spaces", CVPR 2020).

Parameters have torchvision's names. The squeeze of a gate is a quarter of its block's inputs.
"""

from __future__ import annotations

from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Architecture,
    ConvLayer,
    GateLayer,
    Layer,
)

STEM, GROUP_WIDTH, SQUEEZE = 32, 8, 4


def regnet_y(name: str, stages: tuple[tuple[int, int], ...]) -> Architecture:
    """A RegNetY whose stages have so many channels and blocks, in groups of 8 channels."""
    layers: list[Layer] = [
        ConvLayer(
            name="stem.0", norm="stem.1", source=INPUT, inputs=3, outputs=STEM, kernel=3, stride=2
        )
    ]
    channels = STEM
    for stage, (width, count) in enumerate(stages, start=1):
        for index in range(count):
            prefix = f"trunk_output.block{stage}.block{stage}-{index}"
            layers += _block(
                prefix, layers[-1].name, channels, width, stride=2 if index == 0 else 1
            )
            channels = width
    return Architecture(name=name, layers=tuple(layers), classifier="fc")


def _block(prefix: str, source: str, inputs: int, width: int, *, stride: int) -> list[Layer]:
    """1x1, grouped 3x3, gate, 1x1; then the sum with its input or a projection of it."""
    shortcut, found = source, list[Layer]()
    if stride != 1 or inputs != width:
        shortcut = f"{prefix}.proj.0"
        found.append(
            ConvLayer(
                name=shortcut,
                norm=f"{prefix}.proj.1",
                source=source,
                inputs=inputs,
                outputs=width,
                kernel=1,
                stride=stride,
                activation=None,
            )
        )
    a, b, gate, c = f"{prefix}.f.a", f"{prefix}.f.b", f"{prefix}.f.se", f"{prefix}.f.c"
    return [
        *found,
        ConvLayer(
            name=f"{a}.0", norm=f"{a}.1", source=source, inputs=inputs, outputs=width, kernel=1
        ),
        ConvLayer(
            name=f"{b}.0",
            norm=f"{b}.1",
            source=f"{a}.0",
            inputs=width,
            outputs=width,
            kernel=3,
            stride=stride,
            groups=width // GROUP_WIDTH,
        ),
        GateLayer(
            name=gate,
            reduce=f"{gate}.fc1",
            expand=f"{gate}.fc2",
            source=f"{b}.0",
            channels=width,
            hidden=round(inputs / SQUEEZE),
            activation="relu",
        ),
        ConvLayer(
            name=f"{c}.0",
            norm=f"{c}.1",
            source=gate,
            inputs=width,
            outputs=width,
            kernel=1,
            shortcut=shortcut,
        ),
    ]
