"""The architectures that are known here, by name."""

from __future__ import annotations

from edgetransfer.backbones.architectures.convnext import convnext
from edgetransfer.backbones.architectures.efficientnet import efficientnet
from edgetransfer.backbones.architectures.layers import Architecture
from edgetransfer.backbones.architectures.mobilenet import mobilenet_v1, mobilenet_v2
from edgetransfer.backbones.architectures.mobilenet_v3 import LARGE, SMALL, mobilenet_v3
from edgetransfer.backbones.architectures.regnet import regnet_y
from edgetransfer.backbones.architectures.resnet import resnet
from edgetransfer.errors import UsageError

ARCHITECTURES: dict[str, Architecture] = {
    table.name: table
    for table in (
        resnet("resnet18", (2, 2, 2, 2), bottleneck=False),
        resnet("resnet34", (3, 4, 6, 3), bottleneck=False),
        resnet("resnet50", (3, 4, 6, 3), bottleneck=True),
        resnet("resnet101", (3, 4, 23, 3), bottleneck=True),
        # As the RigL checkpoints have it: trained in TensorFlow.
        resnet("resnet50_tf", (3, 4, 6, 3), bottleneck=True, pool_pads=(0, 0, 1, 1)),
        mobilenet_v1(),
        mobilenet_v2(),
        mobilenet_v3("mobilenet_v3_small", SMALL, features=1024),
        mobilenet_v3("mobilenet_v3_large", LARGE, features=1280),
        efficientnet("efficientnet_lite0", width=1.0, depth=1.0, lite=True),
        efficientnet("efficientnet_lite1", width=1.0, depth=1.1, lite=True),
        efficientnet("efficientnet_lite2", width=1.1, depth=1.2, lite=True),
        efficientnet("efficientnet_lite3", width=1.2, depth=1.4, lite=True),
        efficientnet("efficientnet_lite4", width=1.4, depth=1.8, lite=True),
        efficientnet("efficientnet_b0", width=1.0, depth=1.0, lite=False),
        efficientnet("efficientnet_b1", width=1.0, depth=1.1, lite=False),
        efficientnet("efficientnet_b2", width=1.1, depth=1.2, lite=False),
        regnet_y("regnet_y_200mf", ((24, 1), (56, 1), (152, 4), (368, 7))),
        regnet_y("regnet_y_400mf", ((48, 1), (104, 3), (208, 6), (440, 6))),
        convnext("convnext_atto", (40, 80, 160, 320), (2, 2, 6, 2)),
        convnext("convnext_femto", (48, 96, 192, 384), (2, 2, 6, 2)),
    )
}


def architecture(name: str) -> Architecture:
    """An architecture by its name; case, hyphens and underscores do not count.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    plain = {known.replace("_", ""): table for known, table in ARCHITECTURES.items()}
    wanted = name.lower().replace("_", "").replace("-", "")
    if wanted not in plain:
        raise UsageError(
            f"no architecture is called {name!r}; known are: {', '.join(ARCHITECTURES)}"
        )
    return plain[wanted]
