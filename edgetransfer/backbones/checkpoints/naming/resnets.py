"""ResNets' names."""

from __future__ import annotations

import re

from edgetransfer.backbones.checkpoints.naming.scheme import Scheme, bicubic, rules, same


def _sparseml(name: str) -> str:
    found = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", name)
    if not found:
        return {"conv1": "input.conv", "bn1": "input.bn"}.get(name, name)
    parts = {"downsample.0": "identity.conv", "downsample.1": "identity.bn"}
    return f"sections.{int(found[1]) - 1}.{found[2]}.{parts.get(found[3], found[3])}"


def _schemes(architecture: str) -> tuple[Scheme, ...]:
    return (
        Scheme(
            name="torchvision",
            architecture=architecture,
            spell=same,
            classifier="fc",
            foreign=("resnetaa", "resnetblur"),  # timm's: low-pass filters, which keep no weights
        ),
        Scheme(
            name="torchvision, with shortcut for downsample",
            architecture=architecture,
            spell=rules((r"(layer\d\.\d+)\.downsample\.(\d)", r"\1.shortcut.\2")),
            classifier="fc",
        ),
        Scheme(
            name="SparseML", architecture=architecture, spell=_sparseml, classifier="classifier.fc"
        ),
    )


SCHEMES: dict[str, tuple[Scheme, ...]] = {
    **{name: _schemes(name) for name in ("resnet18", "resnet34", "resnet50", "resnet101")},
    "resnet50_tf": (
        Scheme(
            name="RigL, converted from TensorFlow",
            architecture="resnet50_tf",
            spell=rules(
                (r"conv1", "initial_conv.conv"),
                (r"bn1", "initial_conv.bn"),
                (r"(layer\d)\.(\d+)\.downsample\.0", r"\1.block.\2.shortcut.conv"),
                (r"(layer\d)\.(\d+)\.downsample\.1", r"\1.block.\2.shortcut.bn"),
                (r"(layer\d)\.(\d+)\.conv(\d)", r"\1.block.\2.conv\3.conv"),
                (r"(layer\d)\.(\d+)\.bn(\d)", r"\1.block.\2.conv\3.bn"),
            ),
            classifier="fc",
            card=bicubic(),
        ),
    ),
}
