"""Inverted residual blocks (Sandler et al., "MobileNetV2", CVPR 2018), perhaps with a gate inside.

A 1x1 convolution that widens, a depthwise one, a 1x1 one that narrows again without an activation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from edgetransfer.backbones.architectures.layers import Activation, ConvLayer, GateLayer, Layer

DIVISOR = 8

Part = Literal["expand", "depthwise", "project"]
Names = Callable[[Part, int], tuple[str, str]]
"""From a part of the block and the layers before it, its names and its batch-norm's."""
Gate = Callable[[str, int], GateLayer]
"""From the name of a gate's input and the layers before it."""


def inverted_residual(
    source: str,
    *,
    channels: tuple[int, int, int],
    kernel: int,
    stride: int,
    activation: Activation,
    names: Names,
    gate: Gate | None,
) -> list[Layer]:
    """The layers of one block.

    Parameters
    ----------
    source
        What it reads.
    channels
        Of its input, inside, and of its output.
    """
    inputs, hidden, outputs = channels
    found: list[Layer] = []
    if hidden != inputs:
        name, norm = names("expand", 0)
        found.append(
            ConvLayer(
                name=name,
                norm=norm,
                source=source,
                inputs=inputs,
                outputs=hidden,
                kernel=1,
                activation=activation,
            )
        )
    name, norm = names("depthwise", len(found))
    found.append(
        ConvLayer(
            name=name,
            norm=norm,
            source=found[-1].name if found else source,
            inputs=hidden,
            outputs=hidden,
            kernel=kernel,
            stride=stride,
            groups=hidden,
            activation=activation,
        )
    )
    if gate is not None:
        found.append(gate(found[-1].name, len(found)))
    same = stride == 1 and inputs == outputs
    name, norm = names("project", len(found))
    found.append(
        ConvLayer(
            name=name,
            norm=norm,
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


def rounded(channels: float) -> int:
    """To the nearest multiple of 8, but never down by more than a tenth."""
    nearest = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return nearest + DIVISOR if nearest < 0.9 * channels else nearest
