"""Intervals, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgetransfer.benchmark.statistics import median_interval


def test_one_value_is_its_own_interval():
    assert median_interval([3.0]) == dict.fromkeys(("median", "low", "high", "mean"), 3.0)


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 5.0, 2.0]])
def test_the_interval_of_two_or_three_is_their_range(values):
    # All the same draw has a chance of 1/4 or 7/27, well above 2.5 %.
    found = median_interval(values)
    assert (found["low"], found["high"]) == (min(values), max(values))


def test_the_interval_covers_the_true_median_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        found = median_interval(rng.lognormal(0.0, 0.5, 25).tolist())
        covered += found["low"] <= 1.0 <= found["high"]
    assert 0.90 <= covered / 60 <= 1.0


def test_the_interval_is_the_same_each_time():
    values = np.random.default_rng(1).normal(size=9).tolist()
    assert median_interval(values) == median_interval(values)
