"""Accuracies over seeds, and whether a difference is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from edgetransfer.benchmark.paired import outcomes_of, paired_test, right_of, seed_interval


def outcomes(right, labels=None):
    right = np.asarray(right, bool)
    labels = np.zeros(len(right), np.int64) if labels is None else np.asarray(labels)
    return outcomes_of(labels, np.where(right, labels, labels + 1))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 100])
def test_which_were_right_comes_back(n):
    right = np.random.default_rng(n).random(n) < 0.5
    assert right_of(outcomes(right)).tolist() == right.astype(float).tolist()


@pytest.mark.parametrize(("only_dense", "only_own"), [(12, 3), (8, 7), (5, 0), (0, 0), (30, 12)])
def test_of_one_seed_it_is_mcnemars_test(only_dense, only_own):
    dense = [1] * only_dense + [0] * only_own + [1] * 50
    own = [0] * only_dense + [1] * only_own + [1] * 50
    found = paired_test([outcomes(dense)], [outcomes(own)], "top1")
    number = only_dense + only_own
    exact = binomtest(only_dense, number).pvalue if number else 1.0
    assert found["p"] == pytest.approx(exact, abs=0.012)
    assert found["gap"] == pytest.approx((only_dense - only_own) / len(dense))


def test_the_same_photos_tested_by_more_seeds_are_no_new_photos():
    dense, own = [1] * 6 + [1] * 40, [0] * 6 + [1] * 40
    one = paired_test([outcomes(dense)], [outcomes(own)], "top1")
    five = paired_test([outcomes(dense)] * 5, [outcomes(own)] * 5, "top1")
    assert five["p"] == pytest.approx(one["p"])


def test_per_class_each_class_weighs_the_same():
    labels = [0] * 90 + [1] * 10
    dense, own = [1] * 100, [1] * 90 + [0] * 10
    per_class = paired_test([outcomes(dense, labels)], [outcomes(own, labels)], "mean_per_class")
    assert per_class["gap"] == pytest.approx(0.5)
    assert paired_test([outcomes(dense, labels)], [outcomes(own, labels)], "top1")["gap"] == (
        pytest.approx(0.1)
    )


def test_other_photos_are_not_compared():
    assert paired_test([outcomes([1, 0])], [outcomes([1, 0, 1])], "top1") is None
    assert paired_test([], [], "top1") is None


def test_the_interval_over_seeds_is_students():
    values = [0.9, 0.92, 0.87]
    found = seed_interval(values)
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert found["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert seed_interval([0.9]) == {"mean": 0.9, "deviation": None, "low": None, "high": None}
