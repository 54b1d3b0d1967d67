"""MobileNets' names."""

from __future__ import annotations

import re
from collections.abc import Callable

from edgetransfer.backbones.architectures import Conventions
from edgetransfer.backbones.checkpoints.naming.scheme import (
    Scheme,
    bicubic,
    fixed,
    inception,
    rules,
    same,
    staged,
)
from edgetransfer.types import Preprocessing

# Blocks of each stage where a name has stage and block instead of one running number.
V1_STAGES = (1, 2, 2, 6, 2)
V2_STAGES = (1, 2, 3, 4, 3, 3, 1)
V1_BLOCK = r"model\.([1-9]\d*)\.(\d)"
V2_BLOCK = r"features\.([1-9]|1[0-7])\.conv\.(.+)"
# As TensorFlow trained them, and as their conversions to torch run them.
TENSORFLOW = Conventions(activation="relu6", padding="same", epsilon=1e-3)
HALF = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def _amc(name: str) -> str:
    found = re.fullmatch(r"model\.(\d+)\.(\d)", name)
    if not found:
        return name
    index = int(found[1])
    return f"conv1.{found[2]}" if index == 0 else f"features.{index - 1}.{found[2]}"


def _transformers_v1(name: str) -> str:
    found = re.fullmatch(r"model\.(\d+)\.(\d)", name)
    if not found:
        return name
    index, part = int(found[1]), int(found[2])
    kind = "normalization" if part in (1, 4) else "convolution"
    if index == 0:
        return f"conv_stem.{kind}"
    return f"layer.{2 * (index - 1) + (part >= 3)}.{kind}"


# MobileNetV2 before torchvision 0.3 and in many repositories: convolutions side by side.
_FLAT_V2 = rules(
    (r"(features\.1\.conv)\.0\.([01])", r"\1.\2"),
    (r"(features\.1\.conv)\.1", r"\1.3"),
    (r"(features\.1\.conv)\.2", r"\1.4"),
    (r"(features\.\d+\.conv)\.0\.([01])", r"\1.\2"),
    (r"(features\.\d+\.conv)\.1\.0", r"\1.3"),
    (r"(features\.\d+\.conv)\.1\.1", r"\1.4"),
    (r"(features\.\d+\.conv)\.2", r"\1.6"),
    (r"(features\.\d+\.conv)\.3", r"\1.7"),
)


def _inverted(
    stem: dict[str, str], place: Callable[[str], str], parts: tuple[str, ...]
) -> Callable[[str, str], str]:
    """Spell a MobileNetV2 by the names of six parts of a block.

    Parameters
    ----------
    stem
        Names outside blocks.
    place
        A block's prefix, of its place.
    parts
        Convolution and batch-norm of the expansion, the depthwise layer and the projection; with
        nine, the last four are those of the first block, which expands nothing.
    """
    expanding = dict(zip(("0.0", "0.1", "1.0", "1.1", "2", "3"), parts[:6], strict=True))
    first = dict(zip(("0.0", "0.1", "1", "2"), parts[6:] or parts[2:6], strict=True))

    def spell(at: str, rest: str) -> str:
        if not at:
            return stem.get(rest, rest)
        return f"{place(at)}.{(first if at == '0.0' else expanding)[rest]}"

    return spell


def _sections(at: str) -> str:
    return f"sections.{at}"


def _blocks(at: str) -> str:
    return f"blocks.{at}"


def _layers(at: str) -> str:
    stage, index = at.split(".")
    return f"layer{int(stage) + 1}.{index}.conv"


_SPARSEML_V2 = _inverted(
    {
        "features.0.0": "sections.0.0.expand.conv",
        "features.0.1": "sections.0.0.expand.bn",
        "features.18.0": "feat_extraction.conv",
        "features.18.1": "feat_extraction.bn",
    },
    _sections,
    ("expand.conv", "expand.bn", "spatial.conv", "spatial.bn", "compress.conv", "compress.bn"),
)
_TIMM_V2 = _inverted(
    {
        "features.0.0": "conv_stem",
        "features.0.1": "bn1",
        "features.18.0": "conv_head",
        "features.18.1": "bn2",
    },
    _blocks,
    (
        *("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"),
        *("conv_dw", "bn1", "conv_pw", "bn2"),
    ),
)
_MMPRETRAIN_V2 = _inverted(
    {
        "features.0.0": "conv1.conv",
        "features.0.1": "conv1.bn",
        "features.18.0": "conv2.conv",
        "features.18.1": "conv2.bn",
    },
    _layers,
    (
        *("0.conv", "0.bn", "1.conv", "1.bn", "2.conv", "2.bn"),
        *("0.conv", "0.bn", "1.conv", "1.bn"),
    ),
)


def _transformers_v2(name: str) -> str:
    outside = {
        "features.0.0": "conv_stem.first_conv.convolution",
        "features.0.1": "conv_stem.first_conv.normalization",
        "features.18.0": "conv_1x1.convolution",
        "features.18.1": "conv_1x1.normalization",
    }
    found = re.fullmatch(V2_BLOCK, name)
    if not found:
        return outside.get(name, name)
    index, rest = int(found[1]), found[2]
    first = {"0.0": "1.0", "0.1": "1.1", "1": "2", "2": "3"}
    rest = first[rest] if index == 1 else rest
    part, _, place = rest.partition(".")
    layer = {"0": "expand_1x1", "1": "conv_3x3"}.get(part, "reduce_1x1")
    kind = "normalization" if place == "1" or part == "3" else "convolution"
    return f"{'conv_stem' if index == 1 else f'layer.{index - 2}'}.{layer}.{kind}"


V1, V2 = "mobilenet_v1", "mobilenet_v2"
SCHEMES: dict[str, tuple[Scheme, ...]] = {
    V1: (
        Scheme(name="AC/DC and STR", architecture=V1, spell=same, classifier="fc"),
        Scheme(name="AMC", architecture=V1, spell=_amc, classifier="classifier.0"),
        Scheme(
            name="SparseML",
            architecture=V1,
            spell=staged(
                V1_BLOCK,
                V1_STAGES,
                fixed(
                    {"model.0.0": "input.conv", "model.0.1": "input.bn"},
                    {"0": "depth.conv", "1": "depth.bn", "3": "point.conv", "4": "point.bn"},
                    "sections",
                ),
            ),
            classifier="classifier.fc",
        ),
        Scheme(
            name="timm",
            architecture=V1,
            spell=staged(
                V1_BLOCK,
                V1_STAGES,
                fixed(
                    {"model.0.0": "conv_stem", "model.0.1": "bn1"},
                    {"0": "conv_dw", "1": "bn1", "3": "conv_pw", "4": "bn2"},
                    "blocks",
                ),
            ),
            classifier="classifier",
            card=inception(),
            conventions=Conventions(activation="relu6"),
        ),
        Scheme(
            name="transformers",
            architecture=V1,
            spell=_transformers_v1,
            classifier="classifier",
            card=HALF,
            conventions=TENSORFLOW,
        ),
    ),
    V2: (
        Scheme(name="torchvision", architecture=V2, spell=same, classifier="classifier.1"),
        Scheme(
            name="torchvision before 0.3",
            architecture=V2,
            spell=_FLAT_V2,
            classifier="classifier.1",
        ),
        Scheme(
            name="SparseML",
            architecture=V2,
            spell=staged(V2_BLOCK, V2_STAGES, _SPARSEML_V2),
            classifier="classifier.fc",
        ),
        Scheme(
            name="timm",
            architecture=V2,
            spell=staged(V2_BLOCK, V2_STAGES, _TIMM_V2),
            classifier="classifier",
            card=bicubic(),
        ),
        Scheme(
            name="mmpretrain",
            architecture=V2,
            spell=staged(V2_BLOCK, V2_STAGES, _MMPRETRAIN_V2),
            classifier="head.fc",
        ),
        Scheme(
            name="transformers",
            architecture=V2,
            spell=_transformers_v2,
            classifier="classifier",
            card=HALF,
            conventions=TENSORFLOW,
        ),
    ),
}
