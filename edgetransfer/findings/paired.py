"""Two classifiers on the same photos."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, erfc, sqrt

EXACT = 1000  # photos that one alone gets right, up to which the test is exact


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """How two classifiers differ.

    Parameters
    ----------
    n
        Photos that both were tested on.
    only_first, only_second
        How many one got right and the other did not.
    p
        How often two equally good ones differ as much or more, 0 to 1.
    """

    n: int
    only_first: int
    only_second: int
    p: float


def mcnemar(n: int, only_first: int, only_second: int) -> PairedTest:
    """McNemar's test (1947), two-sided: exact by the binomial, of many by its normal limit."""
    differing = only_first + only_second
    if differing <= EXACT:
        tail = sum(comb(differing, i) for i in range(min(only_first, only_second) + 1))
        # Integers: a float would overflow beyond a thousand.
        p = min(1.0, 2 * tail / 2**differing)
    else:
        p = erfc(max(abs(only_first - only_second) - 1, 0) / sqrt(2 * differing))
    return PairedTest(n=n, only_first=only_first, only_second=only_second, p=p)
