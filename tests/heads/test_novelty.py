"""The unknown, against the relative Mahalanobis distance as it is defined."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.errors import HeadError
from edgetransfer.heads import ClosedFormSolver, LinearHead, Statistics
from edgetransfer.heads.feature_maps import RAW
from edgetransfer.heads.novelty import left_out_distances, novelty_of
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.heads.statistics_solver import StatisticsSolver
from tests.heads.blobs import blobs
from tests.heads.test_closed_form import tables


def defined(rows, labels, k, x, penalty):
    """(n,), by the covariances themselves; a class without samples is infinitely far."""
    n, mean = len(rows), rows.mean(axis=0)
    regular = penalty * np.eye(rows.shape[1])
    total = (rows - mean).T @ (rows - mean) + regular
    present = np.unique(labels)
    means = np.array([rows[labels == c].mean(axis=0) for c in present])
    spread = rows - means[np.searchsorted(present, labels)]
    within = spread.T @ spread + regular
    to_all = np.einsum("ij,ij->i", x - mean, np.linalg.solve(total, (x - mean).T).T)
    apart = x[:, None] - means
    to_means = np.einsum("ikd,ikd->ik", apart, np.linalg.solve(within, apart[..., None])[..., 0])
    return n * (to_means.min(axis=1) - to_all)


@settings(max_examples=25, deadline=None)
@given(data=tables(), penalty=st.sampled_from([1e-1, 1.0, 1e2]))
def test_it_is_the_relative_mahalanobis_distance(data, penalty):
    rows, labels, k = data
    spectrum = Spectrum.of(rows, labels, k)
    added = penalty * spectrum.unit
    novelty = novelty_of(spectrum, penalty, 0.0)
    expected = defined(rows.astype(np.float64), labels, k, rows, added)
    size = max(1, np.abs(expected).max(), np.square(novelty.prototypes).sum(axis=1).max())
    np.testing.assert_allclose(novelty.distances(rows), expected, atol=1e-3 * size)
    left_out = left_out_distances(spectrum, penalty)
    for i in range(len(rows)):
        kept = np.arange(len(rows)) != i
        (alone,) = defined(rows[kept].astype(np.float64), labels[kept], k, rows[i : i + 1], added)
        alone *= len(rows) / (len(rows) - 1)  # by the same number of samples
        assert left_out[i] == pytest.approx(alone, abs=1e-4 * max(1, abs(alone)))


@pytest.fixture(scope="module")
def head():
    rows, labels = blobs(0, n=600)
    return ClosedFormSolver().fit(rows, labels, ("a", "b", "c")).head


def test_one_of_twenty_of_its_own_is_rejected(head):
    rows, _ = blobs(1, n=4000)
    assert head.unknown(rows).mean() == pytest.approx(0.05, abs=0.025)


def test_a_class_that_was_left_out_is_unknown():
    """Twelve classes four deviations along axes of their own, ten of them learned."""
    rng = np.random.default_rng(0)
    labels = np.arange(1200) % 12
    rows = (rng.normal(0, 1, (1200, 30)) + 4 * np.eye(12, 30)[labels]).astype(np.float32)
    learned = labels < 10
    head = ClosedFormSolver().fit(rows[learned], labels[learned], tuple("abcdefghij")).head
    assert head.unknown(rows[~learned]).mean() > 0.7
    noise = rng.normal(0, 1, (500, 30)).astype(np.float32)
    assert head.unknown(noise).mean() > 0.7


def test_it_is_saved_with_the_head(head, tmp_path):
    head.save(tmp_path / "head.safetensors", {})
    rows, _ = blobs(3)
    loaded = LinearHead.load(tmp_path / "head.safetensors")
    assert np.array_equal(loaded.unknown(rows), head.unknown(rows))
    assert loaded.novelty.rejected == 0.05
    loaded.save(tmp_path / "again.safetensors", loaded.metadata)
    content = (tmp_path / "head.safetensors").read_bytes()
    assert (tmp_path / "again.safetensors").read_bytes() == content
    plain = replace(loaded, novelty=None)
    plain.save(tmp_path / "plain.safetensors", loaded.metadata)
    assert LinearHead.load(tmp_path / "plain.safetensors").unknown(rows) is None


def test_it_is_of_its_own_head(head):
    with pytest.raises(HeadError, match="another head"):
        replace(head, novelty=replace(head.novelty, axes=head.novelty.axes[:-1]))
    with pytest.raises(HeadError, match="does not fit together"):
        replace(head.novelty, centre=head.novelty.centre[:-1])


def test_standardised_features_are_told_alike():
    rows, labels = blobs(4, n=600)
    rows = rows * [1, 100, 1, 1, 0.01] + 5
    rows = rows.astype(np.float32)
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    scaled = ClosedFormSolver(maps=("raw",)).fit((rows - mean) / std, labels, ("a", "b", "c")).head
    raw = scaled.unstandardized(mean, std)
    assert (raw.unknown(rows) == scaled.unknown((rows - mean) / std)).mean() > 0.99


def test_statistics_tell_the_same_as_rows():
    rows, labels = blobs(5, n=500)
    by_rows = ClosedFormSolver(maps=("raw",)).fit(rows, labels, ("a", "b", "c")).head
    moments = Statistics.of(rows, labels, 3).moments()
    solver = StatisticsSolver(map=RAW)
    choice, _ = solver.choose(moments, rows, labels)
    others, _ = blobs(6)
    expected = by_rows.novelty.distances(others)
    for precise in (True, False):
        head = solver.solve(moments, ("a", "b", "c"), choice, precise=precise)
        found = head.novelty.distances(others)
        assert found == pytest.approx(expected, abs=1e-2 * float(np.abs(expected).max()))
        assert head.novelty.threshold == pytest.approx(by_rows.novelty.threshold, rel=1e-3)


def test_too_few_samples_tell_nothing():
    rows, labels = blobs(7, n=15)
    assert ClosedFormSolver().fit(rows, labels, ("a", "b", "c")).head.novelty is None
