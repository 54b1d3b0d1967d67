"""The relative error increase, by hand."""

from __future__ import annotations

import pytest

from edgetransfer.metrics.transfer import mean_and_standard_error, relative_error_increase


def test_relative_error_increase():
    # 15 % error against 10 %: half as much again.
    assert relative_error_increase(0.85, 0.90) == pytest.approx(0.5)
    assert relative_error_increase(0.95, 0.90) == pytest.approx(-0.5)
    assert relative_error_increase(0.9, 1.0) is None


def test_standard_error():
    mean, error = mean_and_standard_error([1.0, 2.0, 3.0, 6.0])
    assert mean == 3.0
    # Deviations -2, -1, 0, 3: variance 14 / 3, over four values.
    assert error == pytest.approx((14 / 3 / 4) ** 0.5)
    assert mean_and_standard_error([1.0]) == (1.0, None)
