"""No weight is pruned.

Guarantees nothing but that: the baseline, and the last leg of a dense twin.
"""

from __future__ import annotations

from edgetransfer.pretrain.policies.policy import Policy


class Dense(Policy):
    """Plain SGD."""
