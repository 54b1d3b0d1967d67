"""Wilson's interval: published values, and that it covers what it says."""

import numpy as np
import pytest

from edgetransfer.metrics import wilson_interval


def test_values_of_newcombe():
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I."""
    for right, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson_interval(right, total) == pytest.approx((low, high), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(7, 7)[1] == 1.0


@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_true_shares_lie_in_about_nineteen_of_twenty(share):
    rng = np.random.default_rng(0)
    hits = [
        low <= share <= high
        for low, high in (wilson_interval(int(n), 60) for n in rng.binomial(60, share, 4000))
    ]
    assert np.mean(hits) > 0.92
