"""Networks for small images, to be trained from random weights, and any network at another width.

The small residual network is that of the bundled ``tinyresnet-90``. ResNet20 is He et al. (CVPR
2016), section 4.2, with 1x1 convolutions where the width grows; VGG16 is Simonyan and Zisserman
(ICLR 2015), configuration D with batch-norm, without its fully connected layers: the forms in
which both are used on CIFAR. None of them has published weights that are imported here.
"""

from __future__ import annotations

from dataclasses import replace

from edgetransfer.backbones.architectures.catalogue import ARCHITECTURES, architecture
from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Architecture,
    ConvLayer,
    GateLayer,
    Layer,
    NeckLayer,
    NormLayer,
    PoolLayer,
)
from edgetransfer.errors import UsageError

DIVISOR = 8  # of channels, so that a SIMD register is full
VGG16 = (2, 2, 3, 3, 3)


def small_resnet() -> Architecture:
    """Four stages of two basic blocks behind a stem of stride 2, no pooling: 64 pixels or more."""
    return residual("small_resnet", (32, 64, 128, 256), 2, stem_stride=2)


def resnet20() -> Architecture:
    """Three stages of three basic blocks, for 32 pixels."""
    return residual("resnet20", (16, 32, 64), 3, stem_stride=1)


def vgg16() -> Architecture:
    """Thirteen convolutions, the maximum taken after each group: 32 pixels or more."""
    layers: list[Layer] = []
    source, channels = INPUT, 3
    for stage, count in enumerate(VGG16):
        outputs = min(64 * 2**stage, 512)
        for index in range(count):
            name = f"stages.{stage}.{index}"
            layers.append(_conv(f"{name}.conv", f"{name}.bn", source, (channels, outputs)))
            source, channels = f"{name}.conv", outputs
        if stage < len(VGG16) - 1:
            name = f"stages.{stage}.pool"
            layers.append(
                PoolLayer(name=name, source=source, kernel=2, stride=2, pads=(0, 0, 0, 0))
            )
            source = name
    return Architecture(name="vgg16", layers=tuple(layers), classifier="head")


def residual(name: str, widths: tuple[int, ...], blocks: int, *, stem_stride: int) -> Architecture:
    """Stages of so many basic blocks behind a stem of one convolution."""
    layers: list[Layer] = [_conv("stem", "bn", INPUT, (3, widths[0]), stride=stem_stride)]
    channels = widths[0]
    for stage, width in enumerate(widths):
        for index in range(blocks):
            stride = 2 if stage and not index else 1
            layers += _block(
                f"blocks.{stage * blocks + index}", layers[-1].name, (channels, width), stride
            )
            channels = width
    return Architecture(name=name, layers=tuple(layers), classifier="head")


def _block(prefix: str, source: str, channels: tuple[int, int], stride: int) -> list[Layer]:
    """Two 3x3 convolutions with a shortcut around them."""
    inputs, outputs = channels
    shortcut, found = source, []
    if stride != 1 or inputs != outputs:
        shortcut = f"{prefix}.shortcut.0"
        found.append(
            _conv(
                *(shortcut, f"{prefix}.shortcut.1", source, channels),
                kernel=1,
                stride=stride,
                activated=False,
            )
        )
    first, second = f"{prefix}.conv1", f"{prefix}.conv2"
    found.append(_conv(first, f"{prefix}.bn1", source, channels, stride=stride))
    last = _conv(second, f"{prefix}.bn2", first, (outputs, outputs))
    return [*found, replace(last, shortcut=shortcut)]


def _conv(
    name: str,
    norm: str,
    source: str,
    channels: tuple[int, int],
    *,
    kernel: int = 3,
    stride: int = 1,
    activated: bool = True,
) -> ConvLayer:
    return ConvLayer(
        name=name,
        norm=norm,
        source=source,
        inputs=channels[0],
        outputs=channels[1],
        kernel=kernel,
        stride=stride,
        activation="relu" if activated else None,
    )


SMALL = {table.name: table for table in (small_resnet(), resnet20(), vgg16())}


def trainable_architecture(name: str, width: float = 1.0) -> Architecture:
    """A network to be trained from random weights, by its name, of so many times its channels.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    plain = name.lower().replace("-", "_")
    if plain in SMALL:
        return scaled(SMALL[plain], width)
    try:
        return scaled(architecture(name), width)
    except UsageError:
        known = ", ".join((*SMALL, *ARCHITECTURES))
        raise UsageError(f"no architecture is called {name!r}; known are: {known}") from None


def scaled(table: Architecture, width: float) -> Architecture:
    """The same layers with so many times the channels, each a multiple of 8 and at least 8."""
    if width == 1:
        return table

    def channels(count: int) -> int:
        return max(DIVISOR, round(count * width / DIVISOR) * DIVISOR)

    layers: list[Layer] = []
    for layer in table.layers:
        if isinstance(layer, ConvLayer):
            inputs = layer.inputs if layer.source == INPUT else channels(layer.inputs)
            groups = layer.groups
            if layer.depthwise:
                groups = inputs
            elif groups > 1:  # groups stay as wide as they were
                groups = max(1, inputs // (layer.inputs // groups))
            layers.append(
                replace(layer, inputs=inputs, outputs=channels(layer.outputs), groups=groups)
            )
        elif isinstance(layer, GateLayer):
            hidden = channels(layer.hidden)
            layers.append(replace(layer, channels=channels(layer.channels), hidden=hidden))
        elif isinstance(layer, NormLayer):
            layers.append(replace(layer, channels=channels(layer.channels)))
        else:
            layers.append(layer)
    neck: list[NeckLayer | NormLayer] = [
        replace(step, channels=channels(step.channels))
        if isinstance(step, NormLayer)
        else replace(step, inputs=channels(step.inputs), outputs=channels(step.outputs))
        for step in table.neck
    ]
    return replace(table, layers=tuple(layers), neck=tuple(neck))
