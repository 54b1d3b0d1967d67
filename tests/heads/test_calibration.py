"""Temperatures and calibration errors against what they are defined as."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from edgetransfer.heads.calibration import calibration_error, fitted_temperature


def drawn(seed, factor, n=2000, k=4):
    """Scores, and labels drawn from softmax(factor * scores)."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((n, k)) * 2
    chances = softmax(factor * scores, axis=1)
    return scores, np.array([rng.choice(k, p=row) for row in chances]), chances


@pytest.mark.parametrize("factor", [0.02, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_temperature_is_the_least_cross_entropys(factor, scale):
    scores, labels, _ = drawn(0, factor)
    scores /= scale

    doubt = 1 / (2000 + 2)

    def cross_entropy(logarithm):
        logits = log_softmax(scores * np.exp(logarithm), axis=1)
        own = logits[np.arange(2000), labels].mean()
        return -(1 - doubt) * own - doubt * logits.mean()

    around = np.log(factor * scale)
    best = minimize_scalar(cross_entropy, bounds=(around - 3, around + 3), method="bounded")
    assert np.log(fitted_temperature(scores, labels)) == pytest.approx(best.x, abs=1e-2)


@pytest.mark.parametrize("n", [1, 4, 30])
def test_a_few_that_are_all_right_are_no_certainty(n):
    """However far apart their scores: Platt's estimate of n right ones of n."""
    labels = np.arange(n) % 2
    scores = np.eye(2)[labels] * 1e-3
    sure = softmax(fitted_temperature(scores, labels) * scores, axis=1).max(axis=1)
    assert sure == pytest.approx(1 - 1 / (n + 2) + 0.5 / (n + 2), abs=1e-3)


def test_impossible_classes_do_not_spoil_it():
    scores, labels, _ = drawn(1, 1.0)
    spoilt = scores.copy()
    spoilt[labels == 2, 2] = -np.inf
    kept = labels != 2
    spoilt[:, 3][kept & (labels != 3)] = -np.inf
    assert np.isfinite(fitted_temperature(spoilt, labels))
    assert fitted_temperature(np.full((5, 2), -np.inf), np.zeros(5, np.int64)) == 1.0
    assert np.isfinite(fitted_temperature(np.zeros((5, 2)), np.zeros(5, np.int64)))


def test_calibration_error_is_small_where_chances_are_true():
    _, labels, chances = drawn(2, 1.0, n=20000)
    assert calibration_error(chances, labels) < 0.015
    overconfident = np.eye(4)[chances.argmax(axis=1)]
    wrong = (chances.argmax(axis=1) != labels).mean()
    assert calibration_error(overconfident, labels) == pytest.approx(wrong)
    assert np.isnan(calibration_error(chances[:0], labels[:0]))
