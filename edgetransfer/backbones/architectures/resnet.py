"""ResNets: He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), table 1.

The bottleneck's stride is in its 3x3 convolution, as in torchvision and in the sparse
checkpoints that follow it. Parameters have torchvision's names. Networks that were trained in
TensorFlow pad the pooling at the bottom and right alone.
"""

from __future__ import annotations

from edgetransfer.backbones.architectures.layers import (
    INPUT,
    Architecture,
    ConvLayer,
    Layer,
    PoolLayer,
)

WIDTHS = (64, 128, 256, 512)
BOTTLENECK = 4  # a bottleneck block's outputs, as a multiple of its width


def resnet(
    name: str,
    blocks: tuple[int, int, int, int],
    *,
    bottleneck: bool,
    pool_pads: tuple[int, int, int, int] = (1, 1, 1, 1),
) -> Architecture:
    """A ResNet with so many blocks in each of its four stages."""
    layers: list[Layer] = [
        ConvLayer(name="conv1", norm="bn1", source=INPUT, inputs=3, outputs=64, kernel=7, stride=2),
        PoolLayer(name="maxpool", source="conv1", kernel=3, stride=2, pads=pool_pads),
    ]
    channels = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, blocks, strict=True), start=1):
        outputs = width * BOTTLENECK if bottleneck else width
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            layers += _block(
                f"layer{stage}.{index}", layers[-1].name, channels, width, outputs, stride
            )
            channels = outputs
    return Architecture(name=name, layers=tuple(layers), classifier="fc")


def _block(
    prefix: str, source: str, inputs: int, width: int, outputs: int, stride: int
) -> list[Layer]:
    """One residual block: a bottleneck where its outputs outnumber its width."""
    shortcut, found = source, []
    if stride != 1 or inputs != outputs:
        shortcut = f"{prefix}.downsample.0"
        found.append(
            ConvLayer(
                name=shortcut,
                norm=f"{prefix}.downsample.1",
                source=source,
                inputs=inputs,
                outputs=outputs,
                kernel=1,
                stride=stride,
                activation=None,
            )
        )
    kernels, strides = ((1, 3, 1), (1, stride, 1)) if outputs > width else ((3, 3), (stride, 1))
    widths = (inputs, *[width] * (len(kernels) - 1), outputs)
    for index, (kernel, step) in enumerate(zip(kernels, strides, strict=True)):
        last = index == len(kernels) - 1
        found.append(
            ConvLayer(
                name=f"{prefix}.conv{index + 1}",
                norm=f"{prefix}.bn{index + 1}",
                source=f"{prefix}.conv{index}" if index else source,
                inputs=widths[index],
                outputs=widths[index + 1],
                kernel=kernel,
                stride=step,
                shortcut=shortcut if last else None,
            )
        )
    return list(found)
