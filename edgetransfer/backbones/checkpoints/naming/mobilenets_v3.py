"""MobileNetV3's names."""

from __future__ import annotations

from collections.abc import Callable

from edgetransfer.backbones.architectures import Conventions
from edgetransfer.backbones.architectures.mobilenet_v3 import LARGE, SMALL, STEM, Block
from edgetransfer.backbones.checkpoints.naming.scheme import Scheme, bicubic, same, staged
from edgetransfer.types import Preprocessing

# Blocks of each stage, where a name has stage and block.
STAGES = {"large": (1, 2, 3, 4, 2, 3), "small": (1, 2, 3, 2, 3)}
BLOCK = r"features\.(\d+)\.block\.(.+)"
HALF = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
OTHERS = (
    "timm has networks of these names that were trained with other means: compare "
    "`evaluate --classifier` on labelled photos"
)


def _timm(kind: str, blocks: tuple[Block, ...]) -> Callable[[str], str]:
    stages = STAGES[kind]
    last = len(blocks) + 1
    outside = {
        "features.0.0": "conv_stem",
        "features.0.1": "bn1",
        f"features.{last}.0": f"blocks.{len(stages)}.0.conv",
        f"features.{last}.1": f"blocks.{len(stages)}.0.bn1",
        "classifier.0": "conv_head",
        "classifier.3": "classifier",
    }
    parts = {}
    inputs = STEM
    for index, (_, hidden, outputs, gated, _, _) in enumerate(blocks):
        stage = next(s for s in range(len(stages)) if index < sum(stages[: s + 1]))
        parts[f"{stage}.{index - sum(stages[:stage])}"] = _parts(hidden != inputs, gated)
        inputs = outputs

    def spell(place: str, rest: str) -> str:
        return f"blocks.{place}.{parts[place][rest]}" if place else outside.get(rest, rest)

    return staged(BLOCK, stages, spell)


def _parts(expands: bool, gated: bool) -> dict[str, str]:
    """Timm's names of a block's parts by torchvision's."""
    convolutions = ["conv_pw", "conv_dw", "conv_pwl"] if expands else ["conv_dw", "conv_pw"]
    places = list(range(len(convolutions)))
    if gated:
        places[-1] += 1  # the gate stands before the projection
    found: dict[str, str] = {}
    for number, (place, convolution) in enumerate(zip(places, convolutions, strict=True), start=1):
        found |= {f"{place}.0": convolution, f"{place}.1": f"bn{number}"}
    if gated:
        gate = places[-1] - 1
        found |= {f"{gate}.fc1": "se.conv_reduce", f"{gate}.fc2": "se.conv_expand"}
    return found


def _schemes(kind: str, blocks: tuple[Block, ...]) -> tuple[Scheme, ...]:
    name = f"mobilenet_v3_{kind}"
    timm = _timm(kind, blocks)
    return (
        Scheme(
            name="torchvision",
            architecture=name,
            spell=same,
            classifier="classifier.3",
            conventions=Conventions(epsilon=1e-3),
        ),
        Scheme(
            name="timm, trained in TensorFlow",
            architecture=name,
            spell=timm,
            classifier="classifier",
            card=HALF,
            conventions=Conventions(padding="same", epsilon=1e-3),
            mark="tf_",
        ),
        Scheme(
            name="timm",
            architecture=name,
            spell=timm,
            classifier="classifier",
            card=bicubic(),
            mark="mobilenetv3",
            remark=OTHERS,
        ),
    )


SCHEMES: dict[str, tuple[Scheme, ...]] = {
    "mobilenet_v3_small": _schemes("small", SMALL),
    "mobilenet_v3_large": _schemes("large", LARGE),
}
