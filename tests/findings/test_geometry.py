"""Neighbours, outliers and the plane, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.decomposition import PCA

from edgetransfer.findings import mcnemar, nearest, outlier_scores, plane_of
from edgetransfer.findings import neighbours as neighbours_module
from edgetransfer.findings.neighbours import directions
from edgetransfer.findings.outliers import FAR


def features_of(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize(("n", "k"), [(1, 3), (2, 3), (4, 3), (50, 5)])
def test_nearest_is_what_all_distances_say(n, k):
    features = features_of(n, 8)
    found = nearest(features, k)
    rows = directions(features)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    wanted = np.argsort(-cosines, axis=1, kind="stable")[:, : min(k, n - 1)]
    assert (found.indices == wanted).all()
    values = np.take_along_axis(cosines, wanted, axis=1)
    np.testing.assert_allclose(found.similarities, values, atol=1e-6)


def test_blocks_change_nothing(monkeypatch):
    features = features_of(70, 8)
    whole = nearest(features, 4)
    monkeypatch.setattr(neighbours_module, "BLOCK_BYTES", 4 * 70 * 9)
    parts = nearest(features, 4)
    assert (whole.indices == parts.indices).all()


def test_many_rows_are_searched_in_fewer_dimensions(monkeypatch):
    monkeypatch.setattr(neighbours_module, "EXACT", 10)
    monkeypatch.setattr(neighbours_module, "FEWER", 64)
    centres = np.repeat(features_of(30, 300, 1), 2, axis=0)
    found = nearest(centres + 0.1 * features_of(60, 300, 2), 1)
    assert (found.indices[:, 0] == np.arange(60) ^ 1).all()


def test_what_is_far_from_its_class_stands_out():
    rng = np.random.default_rng(0)
    centres = 6 * rng.normal(size=(4, 16))
    labels = np.repeat(np.arange(4), 40)
    features = (centres[labels] + rng.normal(size=(160, 16))).astype(np.float32)
    far = [3, 77, 120]
    features[far] = (6 * rng.normal(size=(3, 16))).astype(np.float32)
    scores = outlier_scores(features, labels)
    assert set(np.argsort(-scores)[:3]) == set(far)
    assert (scores[far] > FAR).all()
    assert (scores > FAR).sum() <= 8


def test_of_too_few_or_equal_photos_none_stands_out():
    features = np.ones((9, 4), np.float32)
    assert not outlier_scores(features, np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])).any()


def test_the_plane_is_that_of_principal_components():
    features = features_of(80, 6) * np.array([5, 3, 1, 1, 1, 1], np.float32)
    plane, held = plane_of(features)
    reference = PCA(2).fit(directions(features))
    wanted = reference.transform(directions(features))
    assert held == pytest.approx(reference.explained_variance_ratio_.sum(), abs=1e-5)
    for axis in range(2):
        assert abs(np.corrcoef(plane[:, axis], wanted[:, axis])[0, 1]) > 0.9999
    assert (plane_of(features)[0] == plane).all()


@pytest.mark.parametrize(("n", "d"), [(1, 3), (2, 3), (5, 1)])
def test_a_plane_of_little(n, d):
    plane, held = plane_of(features_of(n, d))
    assert plane.shape == (n, 2)
    assert np.isfinite(plane).all()
    assert 0 <= held <= 1


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (1, 0), (5, 5), (2, 11), (40, 60), (700, 800)]
)
def test_mcnemar_is_a_binomial_test(first, second):
    found = mcnemar(5000, first, second)
    wanted = binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p == pytest.approx(wanted, rel=0.03, abs=1e-9)
