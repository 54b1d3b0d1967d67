"""ConvNeXts' names."""

from __future__ import annotations

from edgetransfer.backbones.checkpoints.naming.scheme import Scheme, bicubic, same

SCHEMES: dict[str, tuple[Scheme, ...]] = {
    name: (
        Scheme(name="timm", architecture=name, spell=same, classifier="head.fc", card=bicubic()),
    )
    for name in ("convnext_atto", "convnext_femto")
}
