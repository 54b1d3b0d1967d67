"""MobileNetV1 (Howard et al., 2017, table 1) and MobileNetV2 (Sandler et al., 2018, table 2).

MobileNetV2's parameters have torchvision's names. MobileNetV1 is not in torchvision: its names
are those of the published sparse checkpoints, ``model.INDEX.0`` depthwise, ``model.INDEX.3``
pointwise.
"""

from __future__ import annotations

from edgetransfer.backbones.architectures.layers import INPUT, Activation, Architecture, ConvLayer

# Outputs and stride of each depthwise-separable pair.
V1_PAIRS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
# Expansion, outputs, repetitions, stride of each stage.
V2_STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)


def _layer(
    name: str,
    norm: str,
    source: str,
    channels: tuple[int, int],
    *,
    kernel: int = 1,
    stride: int = 1,
    depthwise: bool = False,
    activation: Activation | None = "relu",
    shortcut: str | None = None,
    entry: str | None = None,
) -> ConvLayer:
    inputs, outputs = channels
    return ConvLayer(
        name=name,
        norm=norm,
        source=source,
        inputs=inputs,
        outputs=outputs,
        kernel=kernel,
        stride=stride,
        groups=inputs if depthwise else 1,
        activation=activation,
        shortcut=shortcut,
        entry=entry,
    )


def mobilenet_v1() -> Architecture:
    """MobileNetV1 of width 1.0."""
    layers = [_layer("model.0.0", "model.0.1", INPUT, (3, 32), kernel=3, stride=2)]
    channels = 32
    for index, (outputs, stride) in enumerate(V1_PAIRS, start=1):
        block, before = f"model.{index}", layers[-1].name
        layers.append(
            _layer(
                f"{block}.0",
                f"{block}.1",
                before,
                (channels, channels),
                kernel=3,
                stride=stride,
                depthwise=True,
            )
        )
        layers.append(_layer(f"{block}.3", f"{block}.4", f"{block}.0", (channels, outputs)))
        channels = outputs
    return Architecture(name="mobilenet_v1", layers=tuple(layers), classifier="fc")


def mobilenet_v2() -> Architecture:
    """MobileNetV2 of width 1.0."""
    relu6: Activation = "relu6"
    layers = [
        _layer(
            *("features.0.0", "features.0.1", INPUT, (3, 32)), kernel=3, stride=2, activation=relu6
        )
    ]
    channels, block = 32, 0
    for expansion, outputs, repetitions, first_stride in V2_STAGES:
        for repetition in range(repetitions):
            block += 1
            stride = first_stride if repetition == 0 else 1
            layers += _inverted_residual(
                f"features.{block}.conv",
                layers[-1].name,
                channels=(channels, channels * expansion, outputs),
                stride=stride,
            )
            channels = outputs
    last = f"features.{block + 1}"
    layers.append(
        _layer(f"{last}.0", f"{last}.1", layers[-1].name, (channels, 1280), activation=relu6)
    )
    return Architecture(name="mobilenet_v2", layers=tuple(layers), classifier="classifier.1")


def _inverted_residual(
    prefix: str, source: str, *, channels: tuple[int, int, int], stride: int
) -> list[ConvLayer]:
    inputs, hidden, outputs = channels
    relu6: Activation = "relu6"
    found: list[ConvLayer] = []
    step, before = 0, source
    if hidden != inputs:
        name = f"{prefix}.0.0"
        found.append(_layer(name, f"{prefix}.0.1", source, (inputs, hidden), activation=relu6))
        step, before = 1, name
    name = f"{prefix}.{step}.0"
    found.append(
        _layer(
            name,
            f"{prefix}.{step}.1",
            before,
            (hidden, hidden),
            kernel=3,
            stride=stride,
            depthwise=True,
            activation=relu6,
        )
    )
    found.append(
        _layer(
            f"{prefix}.{step + 1}",
            f"{prefix}.{step + 2}",
            name,
            (hidden, outputs),
            activation=None,
            shortcut=source if stride == 1 and inputs == outputs else None,
            entry=source if stride == 1 and inputs != outputs else None,
        )
    )
    return found
