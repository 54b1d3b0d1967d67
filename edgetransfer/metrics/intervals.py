"""How far a measured share may be from the true one."""

from __future__ import annotations

from math import sqrt

Z = 1.959963984540054  # of 95 %


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, of which ``right`` of ``total`` were counted.

    Wilson, "Probable inference, the law of succession, and statistical inference" (1927); (0, 1)
    where nothing was counted.
    """
    if total == 0:
        return 0.0, 1.0
    share = right / total
    spread = Z * sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    middle, scale = share + Z**2 / (2 * total), 1 + Z**2 / total
    # At the ends of the scale rounding must not leave the share itself outside.
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return max(0.0, min(low, share)), min(1.0, max(high, share))
