"""The policies, a file a method; `make_policy` alone knows them by name."""

from __future__ import annotations

from edgetransfer.pretrain.policies.acdc import ACDC
from edgetransfer.pretrain.policies.dense import Dense
from edgetransfer.pretrain.policies.filters import Filters
from edgetransfer.pretrain.policies.gradual import Gradual
from edgetransfer.pretrain.policies.lottery import LotteryTickets
from edgetransfer.pretrain.policies.perturbed import Compressed, Sam
from edgetransfer.pretrain.policies.policy import Policy
from edgetransfer.pretrain.policies.rigl import RigL
from edgetransfer.pretrain.policies.second_order import SecondOrder
from edgetransfer.pretrain.policies.thresholds import SoftThresholds
from edgetransfer.pretrain.training import Training
from edgetransfer.settings.policies import CRAM, PolicyName
from edgetransfer.settings.pretrain import Pretraining

KINDS: dict[PolicyName, type[Policy]] = {
    "dense": Dense,
    "gmp": Gradual,
    "acdc": ACDC,
    "rigl": RigL,
    "str": SoftThresholds,
    "woodfisher": SecondOrder,
    "mfac": SecondOrder,
    "lth": LotteryTickets,
    "filters": Filters,
    "sam": Sam,
    **dict.fromkeys(CRAM, Compressed),
}


def make_policy(settings: Pretraining, training: Training) -> Policy:
    """The policy that the settings name.

    Raises
    ------
    UsageError
        If it cannot do what is asked in that network and time.
    """
    return KINDS[settings.policy](settings, training)


__all__ = ["ACDC", "KINDS", "Dense", "Policy", "make_policy"]
