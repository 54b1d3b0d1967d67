"""How others name the parameters of the same networks, and how those networks were trained.

Each scheme spells an architecture's own prefixes (torchvision's, where it has the network) as
some published checkpoints do.
"""

from edgetransfer.backbones.checkpoints.naming import (
    convnexts,
    efficientnets,
    mobilenets,
    mobilenets_v3,
    regnets,
    resnets,
)
from edgetransfer.backbones.checkpoints.naming.scheme import Scheme

SCHEMES: dict[str, tuple[Scheme, ...]] = {
    **resnets.SCHEMES,
    **mobilenets.SCHEMES,
    **mobilenets_v3.SCHEMES,
    **efficientnets.SCHEMES,
    **regnets.SCHEMES,
    **convnexts.SCHEMES,
}

__all__ = ["SCHEMES", "Scheme"]
