"""RegNets' names."""

from __future__ import annotations

import re

from edgetransfer.backbones.checkpoints.naming.scheme import Scheme, bicubic, same

PARTS = {
    "proj.0": "downsample.conv",
    "proj.1": "downsample.bn",
    "f.se.fc1": "se.fc1",
    "f.se.fc2": "se.fc2",
}


def _timm(name: str) -> str:
    found = re.fullmatch(r"trunk_output\.block(\d)\.block\d-(\d+)\.(.+)", name)
    if not found:
        return {"stem.0": "stem.conv", "stem.1": "stem.bn", "fc": "head.fc"}.get(name, name)
    part = re.fullmatch(r"f\.([abc])\.([01])", found[3])
    rest = PARTS.get(found[3], found[3])
    if part:
        rest = f"conv{'abc'.index(part[1]) + 1}.{'conv' if part[2] == '0' else 'bn'}"
    return f"s{found[1]}.b{int(found[2]) + 1}.{rest}"


def _schemes(architecture: str) -> tuple[Scheme, ...]:
    return (
        Scheme(name="torchvision", architecture=architecture, spell=same, classifier="fc"),
        Scheme(
            name="timm",
            architecture=architecture,
            spell=_timm,
            classifier="head.fc",
            card=bicubic(),
        ),
    )


SCHEMES: dict[str, tuple[Scheme, ...]] = {
    name: _schemes(name) for name in ("regnet_y_200mf", "regnet_y_400mf")
}
