"""How others name the parameters of the same networks.

Each scheme spells an architecture's own prefixes (torchvision's, where it has the network) as
some published checkpoints do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# Blocks of each stage where a name has stage and block instead of one running number.
V1_STAGES = (1, 2, 2, 6, 2)
V2_STAGES = (1, 2, 3, 4, 3, 3, 1)


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Whose names they are, and how they spell one of ours."""

    name: str
    spell: Callable[[str], str]


def _same(name: str) -> str:
    return name


def _rules(*rules: tuple[str, str]) -> Callable[[str], str]:
    """A speller that applies the first rule whose pattern is the whole name."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def spell(name: str) -> str:
        for pattern, replacement in compiled:
            if pattern.fullmatch(name):
                return pattern.sub(replacement, name)
        return name

    return spell


def _staged(
    block: re.Pattern[str], stages: tuple[int, ...], spell: Callable[[str, str], str]
) -> Callable[[str], str]:
    """A speller for names with one running block number, counted from 1, and a rest."""
    places = [f"{stage}.{index}" for stage, n in enumerate(stages) for index in range(n)]

    def staged(name: str) -> str:
        found = block.fullmatch(name)
        if not found or not 1 <= int(found[1]) <= len(places):
            return spell("", name)
        return spell(places[int(found[1]) - 1], found[2])

    return staged


def _fixed(stem: dict[str, str], parts: dict[str, str], blocks: str) -> Callable[[str, str], str]:
    """Spell the layers outside blocks by one table, the parts of blocks by another."""

    def spell(place: str, rest: str) -> str:
        return f"{blocks}.{place}.{parts.get(rest, rest)}" if place else stem.get(rest, rest)

    return spell


def _sparseml_resnet(name: str) -> str:
    staged = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", name)
    if not staged:
        return {"conv1": "input.conv", "bn1": "input.bn"}.get(name, name)
    parts = {"downsample.0": "identity.conv", "downsample.1": "identity.bn"}
    return f"sections.{int(staged[1]) - 1}.{staged[2]}.{parts.get(staged[3], staged[3])}"


def _amc(name: str) -> str:
    found = re.fullmatch(r"model\.(\d+)\.(\d)", name)
    if not found:
        return name
    index = int(found[1])
    return f"conv1.{found[2]}" if index == 0 else f"features.{index - 1}.{found[2]}"


_V1_BLOCK = re.compile(r"model\.([1-9]\d*)\.(\d)")
_V2_BLOCK = re.compile(r"features\.([1-9]|1[0-7])\.conv\.(.+)")

# MobileNetV2 before torchvision 0.3 and in many repositories: convolutions side by side.
_FLAT_V2 = _rules(
    (r"(features\.1\.conv)\.0\.([01])", r"\1.\2"),
    (r"(features\.1\.conv)\.1", r"\1.3"),
    (r"(features\.1\.conv)\.2", r"\1.4"),
    (r"(features\.\d+\.conv)\.0\.([01])", r"\1.\2"),
    (r"(features\.\d+\.conv)\.1\.0", r"\1.3"),
    (r"(features\.\d+\.conv)\.1\.1", r"\1.4"),
    (r"(features\.\d+\.conv)\.2", r"\1.6"),
    (r"(features\.\d+\.conv)\.3", r"\1.7"),
)


def _sparseml_v2(place: str, rest: str) -> str:
    if not place:
        return {
            "features.0.0": "sections.0.0.expand.conv",
            "features.0.1": "sections.0.0.expand.bn",
            "features.18.0": "feat_extraction.conv",
            "features.18.1": "feat_extraction.bn",
        }.get(rest, rest)
    if place == "0.0":  # its expansion is the stem
        parts = {"0.0": "spatial.conv", "0.1": "spatial.bn", "1": "compress.conv"}
        return f"sections.0.0.{parts.get(rest, 'compress.bn')}"
    parts = {"0.0": "expand.conv", "0.1": "expand.bn", "1.0": "spatial.conv", "1.1": "spatial.bn"}
    parts |= {"2": "compress.conv", "3": "compress.bn"}
    return f"sections.{place}.{parts.get(rest, rest)}"


_TORCHVISION = Scheme(name="torchvision", spell=_same)
_RESNETS = (
    _TORCHVISION,
    Scheme(
        name="torchvision, with shortcut for downsample",
        spell=_rules((r"(layer\d\.\d+)\.downsample\.(\d)", r"\1.shortcut.\2")),
    ),
    Scheme(name="SparseML", spell=_sparseml_resnet),
)
_TENSORFLOW = Scheme(
    name="RigL, converted from TensorFlow",
    spell=_rules(
        (r"conv1", "initial_conv.conv"),
        (r"bn1", "initial_conv.bn"),
        (r"(layer\d)\.(\d+)\.downsample\.0", r"\1.block.\2.shortcut.conv"),
        (r"(layer\d)\.(\d+)\.downsample\.1", r"\1.block.\2.shortcut.bn"),
        (r"(layer\d)\.(\d+)\.conv(\d)", r"\1.block.\2.conv\3.conv"),
        (r"(layer\d)\.(\d+)\.bn(\d)", r"\1.block.\2.conv\3.bn"),
    ),
)

SCHEMES: dict[str, tuple[Scheme, ...]] = {
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101"), _RESNETS),
    "resnet50_tf": (_TENSORFLOW,),
    "mobilenet_v1": (
        Scheme(name="AC/DC and STR", spell=_same),
        Scheme(name="AMC", spell=_amc),
        Scheme(
            name="SparseML",
            spell=_staged(
                _V1_BLOCK,
                V1_STAGES,
                _fixed(
                    {"model.0.0": "input.conv", "model.0.1": "input.bn"},
                    {"0": "depth.conv", "1": "depth.bn", "3": "point.conv", "4": "point.bn"},
                    "sections",
                ),
            ),
        ),
        Scheme(
            name="timm",
            spell=_staged(
                _V1_BLOCK,
                V1_STAGES,
                _fixed(
                    {"model.0.0": "conv_stem", "model.0.1": "bn1"},
                    {"0": "conv_dw", "1": "bn1", "3": "conv_pw", "4": "bn2"},
                    "blocks",
                ),
            ),
        ),
    ),
    "mobilenet_v2": (
        _TORCHVISION,
        Scheme(name="torchvision before 0.3", spell=_FLAT_V2),
        Scheme(name="SparseML", spell=_staged(_V2_BLOCK, V2_STAGES, _sparseml_v2)),
    ),
}
