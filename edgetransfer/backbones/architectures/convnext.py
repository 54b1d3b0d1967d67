"""ConvNeXt (Liu et al., "A ConvNet for the 2020s", CVPR 2022), the sizes below its smallest.

Atto and Femto are timm's; parameters have its names. Layers have biases and no batch-norm; a
layer-norm over channels stands before each block's two pointwise layers, before each step down
and behind the pooling; a learnt scale per channel multiplies what a block adds.
"""

from __future__ import annotations

from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Architecture,
    ConvLayer,
    Layer,
    NormLayer,
)

PATCH, EXPANSION = 4, 4


def convnext(
    name: str, widths: tuple[int, int, int, int], depths: tuple[int, int, int, int]
) -> Architecture:
    """A ConvNeXt whose stages have so many channels and blocks."""
    layers: list[Layer] = [
        ConvLayer(
            name="stem.0",
            source=INPUT,
            inputs=3,
            outputs=widths[0],
            kernel=PATCH,
            stride=PATCH,
            padded=False,
            activation=None,
        ),
        NormLayer(name="stem.1", source="stem.0", channels=widths[0]),
    ]
    channels = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if stage:
            layers += _step_down(f"stages.{stage}.downsample", layers[-1].name, channels, width)
        for index in range(depth):
            layers += _block(f"stages.{stage}.blocks.{index}", layers[-1].name, width)
        channels = width
    return Architecture(
        name=name,
        layers=tuple(layers),
        classifier="head.fc",
        neck=(NormLayer(name="head.norm", source=layers[-1].name, channels=channels),),
    )


def _step_down(prefix: str, source: str, inputs: int, outputs: int) -> list[Layer]:
    norm = NormLayer(name=f"{prefix}.0", source=source, channels=inputs)
    return [
        norm,
        ConvLayer(
            name=f"{prefix}.1",
            source=norm.name,
            inputs=inputs,
            outputs=outputs,
            kernel=2,
            stride=2,
            padded=False,
            activation=None,
        ),
    ]


def _block(prefix: str, source: str, width: int) -> list[Layer]:
    depthwise = ConvLayer(
        name=f"{prefix}.conv_dw",
        source=source,
        inputs=width,
        outputs=width,
        kernel=7,
        groups=width,
        activation=None,
    )
    norm = NormLayer(name=f"{prefix}.norm", source=depthwise.name, channels=width)
    wide = ConvLayer(
        name=f"{prefix}.mlp.fc1",
        source=norm.name,
        inputs=width,
        outputs=EXPANSION * width,
        kernel=1,
        activation="gelu",
    )
    return [
        depthwise,
        norm,
        wide,
        ConvLayer(
            name=f"{prefix}.mlp.fc2",
            source=wide.name,
            inputs=wide.outputs,
            outputs=width,
            kernel=1,
            activation=None,
            scale=f"{prefix}.gamma",
            shortcut=source,
        ),
    ]
