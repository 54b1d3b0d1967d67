"""Ridge and discriminant: left-out scores equal those of refitting without each sample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeCV

from edgetransfer.heads.discriminant import (
    discriminant_left_out,
    discriminant_weights,
)
from edgetransfer.heads.ridge import ridge_left_out, ridge_weights
from edgetransfer.heads.solution import FactoredForms, SpectralForms
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.heads.statistics import Statistics


@st.composite
def tables(draw):
    """Small features of every awkward shape: wide, of low rank, doubled, dead, single photos."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    k = draw(st.integers(2, 4))
    n, d = draw(st.integers(k + 2, 16)), draw(st.integers(1, 20))
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    rank = draw(st.integers(1, d))
    rows = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d)) + rng.normal(0, 3, d)
    if draw(st.booleans()):
        rows[:, rng.integers(d)] = 0.3
    if draw(st.booleans()):
        twin = rng.integers(n - 1)
        rows[n - 1], labels[n - 1] = rows[twin], labels[twin]
    return rows.astype(np.float32), labels.astype(np.int64), k


def ridge_without(rows, labels, weights, k, i, penalty):
    """Sample i's scores by a head fitted to all others, by the normal equations."""
    kept = np.arange(len(rows)) != i
    x, w, y = rows[kept], weights[labels][kept], np.eye(k)[labels[kept]]
    design = np.hstack([x, np.ones((len(x), 1))])
    regular = np.diag([penalty] * x.shape[1] + [0.0])
    solution = np.linalg.lstsq(
        design.T @ (design * w[:, None]) + regular, design.T @ (y * w[:, None]), rcond=None
    )[0]
    return np.append(rows[i], 1) @ solution


def discriminant_without(rows, labels, weights, k, i, penalty):
    """Sample i's scores by means and scatter of all others; -inf for a class that is gone."""
    kept = np.arange(len(rows)) != i
    x, y = rows[kept], labels[kept]
    scores = np.full(k, -np.inf)
    scatter = penalty * np.eye(x.shape[1])
    means = {}
    for c in np.unique(y):
        means[c] = x[y == c].mean(axis=0)
        scatter += weights[c] * (x[y == c] - means[c]).T @ (x[y == c] - means[c])
    for c, mean in means.items():
        along = np.linalg.solve(scatter, mean)
        scores[c] = along @ rows[i] - along @ mean / 2
    return scores


@given(data=tables(), penalty=st.sampled_from([1e-2, 1.0, 1e3]), balanced=st.booleans())
def test_ridge_leaves_out_exactly(data, penalty, balanced):
    rows, labels, k = data
    weights = 1 / np.bincount(labels, minlength=k) if balanced else np.ones(k)
    spectrum = Spectrum.of(rows, labels, k, weights)
    found = ridge_left_out(spectrum, spectrum.products(penalty))
    rows = rows.astype(np.float64)
    for i in range(len(rows)):
        expected = ridge_without(rows, labels, spectrum.weights, k, i, penalty * spectrum.unit)
        np.testing.assert_allclose(found[i], expected, rtol=1e-5, atol=1e-6)


@given(data=tables(), penalty=st.sampled_from([1e-2, 1.0, 1e3]), balanced=st.booleans())
def test_discriminant_leaves_out_exactly(data, penalty, balanced):
    rows, labels, k = data
    weights = 1 / np.bincount(labels, minlength=k) if balanced else np.ones(k)
    spectrum = Spectrum.of(rows, labels, k, weights)
    found = discriminant_left_out(spectrum, spectrum.products(penalty))
    # Scores may differ by one number a sample: only their differences mean anything.
    rows = rows.astype(np.float64) - spectrum.mean
    for i in range(len(rows)):
        expected = discriminant_without(
            rows, labels, spectrum.weights, k, i, penalty * spectrum.unit
        )
        there = np.isfinite(expected)
        assert np.array_equal(np.isfinite(found[i]), there)
        difference = found[i][there] - expected[there]
        size = np.abs(expected[there]).max()
        np.testing.assert_allclose(difference - difference.mean(), 0, atol=1e-6 * max(size, 1))


@given(data=tables(), penalty=st.sampled_from([1e-2, 1.0, 1e3]))
def test_heads_from_statistics_are_those_from_rows(data, penalty):
    rows, labels, k = data
    rows = np.round(rows * 256) / 256  # statistics hold these without any loss
    spectrum, moments = Spectrum.of(rows, labels, k), Statistics.of(rows, labels, k).moments()
    for method in ("ridge", "lda"):
        weights, bias = SpectralForms(spectrum).of(method, penalty)
        same_weights, same_bias = FactoredForms(moments).of(method, penalty)
        scores = rows @ weights + bias
        close = 1e-6 * max(np.abs(scores).max(), 1e-6)
        np.testing.assert_allclose(rows @ same_weights + same_bias, scores, atol=close)


@pytest.mark.parametrize("shape", [(60, 8), (20, 30)])
def test_ridge_is_scikit_learns(shape):
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal(shape).astype(np.float32), np.arange(shape[0]) % 3
    spectrum = Spectrum.of(rows, labels, 3)
    for penalty in (0.1, 1.0):
        reference = RidgeCV(alphas=[penalty * spectrum.unit], store_cv_results=True)
        reference.fit(rows.astype(np.float64), np.eye(3)[labels])
        weights, bias = ridge_weights(spectrum, penalty)
        np.testing.assert_allclose(weights, reference.coef_.T, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(bias, reference.intercept_, rtol=1e-6, atol=1e-9)
        left_out = ridge_left_out(spectrum, spectrum.products(penalty))
        squared = (left_out - np.eye(3)[labels]) ** 2
        np.testing.assert_allclose(squared, reference.cv_results_[:, :, 0], rtol=1e-5, atol=1e-9)


def test_discriminant_without_penalty_is_fishers():
    rng = np.random.default_rng(1)
    labels = np.arange(90) % 3
    rows = (rng.standard_normal((90, 6)) + 2 * np.eye(3, 6)[labels]).astype(np.float32)
    weights, bias = discriminant_weights(Spectrum.of(rows, labels, 3), 1e-12)
    reference = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(rows, labels)
    assert np.array_equal((rows @ weights + bias).argmax(axis=1), reference.predict(rows))


def test_discriminant_of_great_penalty_is_the_nearest_mean():
    rng = np.random.default_rng(2)
    labels = np.arange(40) % 4
    rows = (rng.standard_normal((40, 9)) + 2 * np.eye(4, 9)[labels] + 5).astype(np.float32)
    weights, bias = discriminant_weights(Spectrum.of(rows, labels, 4), 1e6)
    means = np.stack([rows[labels == k].mean(axis=0) for k in range(4)])
    distances = ((rows[:, None] - means) ** 2).sum(axis=2)
    assert np.array_equal((rows @ weights + bias).argmax(axis=1), distances.argmin(axis=1))


def test_one_photo_a_class_gives_prototypes():
    rows = np.random.default_rng(3).standard_normal((5, 12)).astype(np.float32)
    labels = np.arange(5)
    for penalty in (1e-3, 1.0, 1e4):
        weights, bias = discriminant_weights(Spectrum.of(rows, labels, 5), penalty)
        assert np.array_equal((rows @ weights + bias).argmax(axis=1), labels)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_path_of_penalties_is_each_of_them_alone(threads):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((1500, 12)).astype(np.float32)
    labels = rng.integers(0, 4, 1500)
    spectrum = Spectrum.of(features, labels, 4)
    penalties = (0.01, 1.0, 100.0)
    for penalty, found in zip(penalties, spectrum.path(penalties, threads=threads), strict=True):
        metric = np.linalg.inv(
            spectrum.basis @ np.diag(spectrum.values + penalty * spectrum.unit) @ spectrum.basis.T
        )
        rows = features - spectrum.mean
        means = np.stack([features[labels == k].mean(axis=0) for k in range(4)]) - spectrum.mean
        np.testing.assert_allclose(found.rows_means, rows @ metric @ means.T, atol=1e-6)
        np.testing.assert_allclose(found.means, means @ metric @ means.T, atol=1e-6)
        np.testing.assert_allclose(found.rows, ((rows @ metric) * rows).sum(axis=1), atol=1e-6)
