"""EfficientNets' names."""

from __future__ import annotations

from collections.abc import Callable

from edgetransfer.backbones.architectures import Conventions
from edgetransfer.backbones.architectures.efficientnet import TENSORFLOW, repetitions
from edgetransfer.backbones.checkpoints.naming.mobilenets_v3 import HALF, OTHERS
from edgetransfer.backbones.checkpoints.naming.scheme import (
    Scheme,
    bicubic,
    inception,
    same,
    staged,
)
from edgetransfer.types import Preprocessing

BLOCK = r"_blocks\.(\d+)\.(.+)"
MARGIN = 32  # pixels around the crop, in the family's own evaluation
# Size of the input and depth multiplier; timm gives the larger Lites larger inputs.
LITE = {0: (224, 1.0), 1: (240, 1.1), 2: (260, 1.2), 3: (280, 1.4), 4: (300, 1.8)}
TIMM_LITE = {**{n: size for n, (size, _) in LITE.items()}, 3: 300, 4: 380}
B = {0: (224, 1.0), 1: (240, 1.1), 2: (260, 1.2)}
PARTS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
LITE_CARD = Preprocessing(  # (x - 127) / 128 of pixels in 0 to 255
    mean=(127 / 255,) * 3, std=(128 / 255,) * 3, interpolation="bicubic"
)


def _timm(place: str, rest: str) -> str:
    if not place:
        outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head"}
        return {**outside, "_bn1": "bn2"}.get(rest, rest)
    gates = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
    names = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    if place.startswith("0."):
        names = ("", "", "conv_dw", "bn1", "conv_pw", "bn2")
    return f"blocks.{place}.{(dict(zip(PARTS, names, strict=True)) | gates).get(rest, rest)}"


def _torchvision(place: str, rest: str) -> str:
    if not place:
        outside = {"_conv_stem": "features.0.0", "_bn0": "features.0.1"}
        return {**outside, "_conv_head": "features.8.0", "_bn1": "features.8.1"}.get(rest, rest)
    stage, index = place.split(".")
    expands = stage != "0"
    step = {"_expand_conv": 0, "_bn0": 0, "_depthwise_conv": 0, "_bn1": 0}
    at = step.get(rest, 1 if rest.startswith("_se") else 2) + expands
    at -= rest in ("_expand_conv", "_bn0")
    part = {"_se_reduce": "fc1", "_se_expand": "fc2"}.get(rest, "1" if "_bn" in rest else "0")
    return f"features.{int(stage) + 1}.{index}.block.{at}.{part}"


def _speller(spell: Callable[[str, str], str], depth: float, *, lite: bool) -> Callable[[str], str]:
    return staged(BLOCK, repetitions(depth, lite=lite), spell, first=0)


def _sized(card: Preprocessing, size: int) -> Preprocessing:
    return Preprocessing(
        size=size,
        resize=size + MARGIN,
        mean=card.mean,
        std=card.std,
        interpolation=card.interpolation,
    )


def _lite(number: int) -> tuple[Scheme, ...]:
    size, depth = LITE[number]
    timm = _speller(_timm, depth, lite=True)
    name = f"efficientnet_lite{number}"
    return (
        Scheme(
            name="EfficientNet-Lite-PyTorch",
            architecture=name,
            spell=same,
            classifier="_fc",
            card=_sized(LITE_CARD, size),
            conventions=TENSORFLOW,
        ),
        Scheme(
            name="timm, trained in TensorFlow",
            architecture=name,
            spell=timm,
            classifier="classifier",
            card=_sized(HALF if number > 2 else inception(), TIMM_LITE[number]),
            conventions=TENSORFLOW,
            mark="tf_",
        ),
        Scheme(
            name="timm",
            architecture=name,
            spell=timm,
            classifier="classifier",
            card=bicubic(TIMM_LITE[number], TIMM_LITE[number] + MARGIN),
            mark="efficientnet_lite",
        ),
    )


def _b(number: int) -> tuple[Scheme, ...]:
    size, depth = B[number]
    timm = _speller(_timm, depth, lite=False)
    name = f"efficientnet_b{number}"
    crop = {0: (224, 256), 1: (240, 256), 2: (288, 288)}[number]
    return (
        Scheme(
            name="EfficientNet-PyTorch",
            architecture=name,
            spell=same,
            classifier="_fc",
            card=bicubic(size, size + MARGIN),
            conventions=TENSORFLOW,
        ),
        Scheme(
            name="torchvision",
            architecture=name,
            spell=_speller(_torchvision, depth, lite=False),
            classifier="classifier.1",
            card=bicubic(*crop),
            conventions=Conventions(),
        ),
        Scheme(
            name="timm, trained in TensorFlow",
            architecture=name,
            spell=timm,
            classifier="classifier",
            card=bicubic(size, size + MARGIN),
            conventions=TENSORFLOW,
            mark="tf_",
        ),
        Scheme(
            name="timm",
            architecture=name,
            spell=timm,
            classifier="classifier",
            card=bicubic(*crop),
            mark="efficientnet_b",
            remark=OTHERS,
        ),
    )


SCHEMES: dict[str, tuple[Scheme, ...]] = {
    **{f"efficientnet_lite{number}": _lite(number) for number in LITE},
    **{f"efficientnet_b{number}": _b(number) for number in B},
}
