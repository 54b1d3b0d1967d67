"""Statistics are exact: no order, partition or forgetting leaves a trace in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.errors import DataError
from edgetransfer.heads import planes
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.planes import ROWS_PER_BLOCK
from edgetransfer.heads.statistics import Statistics
from edgetransfer.heads.statistics_solver import StatisticsSolver


def table(seed, n=90, d=7, k=4, *, octaves=0):
    """Seeded rows whose sizes span a number of powers of two, and labels of k classes."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d)) + rng.standard_normal(d)
    rows *= np.exp2(rng.integers(-octaves, octaves + 1, (n, 1)))
    return rows.astype(np.float32), rng.integers(0, k, n)


def bytes_of(statistics):
    """Everything that a head is solved from, as bytes."""
    moments = statistics.moments()
    arrays = (moments.counts, moments.class_means, moments.mean, moments.total)
    return b"".join(array.tobytes() for array in arrays)


@given(
    seed=st.integers(0, 10**6),
    octaves=st.sampled_from([0, 3, 30]),
    parts=st.integers(1, 8),
    shuffle=st.randoms(use_true_random=False),
)
def test_order_and_partitions_change_no_byte(seed, octaves, parts, shuffle):
    rows, labels = table(seed, octaves=octaves)
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    pieces = [Statistics.of(rows[i], labels[i], 4) for i in np.array_split(order, parts)]
    shuffle.shuffle(pieces)
    merged = pieces[0]
    for piece in pieces[1:]:
        merged.merge(piece)
    assert bytes_of(merged) == bytes_of(Statistics.of(rows, labels, 4))


@given(seed=st.integers(0, 10**6), octaves=st.sampled_from([0, 30]), n=st.integers(0, 90))
def test_what_is_forgotten_leaves_no_trace(seed, octaves, n):
    rows, labels = table(seed, octaves=octaves)
    gone = np.random.default_rng(seed).permutation(len(rows))[:n]
    kept = np.setdiff1d(np.arange(len(rows)), gone)
    expected = bytes_of(Statistics.of(rows[kept], labels[kept], 4))
    one_by_one = Statistics.of(rows, labels, 4)
    for i in gone:
        one_by_one.subtract(rows[i : i + 1], labels[i : i + 1])
    assert bytes_of(one_by_one) == expected
    at_once = Statistics.of(rows, labels, 4)
    at_once.without(Statistics.of(rows[gone], labels[gone], 4))
    assert bytes_of(at_once) == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_many_rows_are_added_exactly(threads):
    """More than one block, of the largest whole numbers: a float64 sum of all would round."""
    from threadpoolctl import threadpool_limits

    n = 3 * ROWS_PER_BLOCK + 17
    rows = np.random.default_rng(0).choice([-15.99998, 15.99999, 1e-4], (n, 3)).astype(np.float32)
    rows[:, 0] = np.abs(rows[:, 0]) + 4  # all in one plane
    rows = np.minimum(rows, np.float32(15.99999))
    with threadpool_limits(threads):
        statistics = Statistics.of(rows, np.zeros(n, np.int64), 1)
    (plane,) = statistics.planes
    whole = [[round(float(x) / 2.0**plane.exponent) for x in row] for row in rows]
    for i in range(3):
        for j in range(3):
            assert int(plane.gram[i, j]) == sum(row[i] * row[j] for row in whole)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_moments_are_those_of_the_rows(seed, scale):
    rows, labels = table(seed)
    rows = (rows * scale).astype(np.float32)
    moments = Statistics.of(rows, labels, 4).moments()
    exact = rows.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    means = np.stack([exact[labels == k].mean(axis=0) for k in range(4)])
    within = exact - means[labels]
    close = {"rtol": 1e-4, "atol": 1e-4 * scale}
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), **close)
    np.testing.assert_allclose(moments.class_means, means, **close)
    close["atol"] *= 100 * scale
    np.testing.assert_allclose(moments.total, centred.T @ centred, **close)
    np.testing.assert_allclose(moments.within, within.T @ within, **close)


def test_constant_features_have_no_scatter_at_all():
    rows, labels = table(1)
    rows[:, 2] = 0.1
    rows[:, 5] = 0.0
    total = Statistics.of(rows, labels, 4).moments().total
    for feature in (2, 5):
        assert not total[feature].any()
        assert not total[:, feature].any()


def test_rows_of_zeros_count_and_nothing_else():
    statistics = Statistics(3, 2)
    statistics.update(np.zeros((5, 3), np.float32), np.array([0, 0, 1, 1, 1]))
    assert statistics.n == 5
    assert statistics.planes == ()
    assert not statistics.moments().total.any()


def test_classes_are_born_and_rows_relabelled_as_if_from_the_first():
    rows, labels = table(2)
    statistics = Statistics.of(rows, np.minimum(labels, 1), 2)
    statistics.grow(4)
    wrong = np.flatnonzero(labels > 1)
    statistics.relabel(rows[wrong], np.ones(len(wrong), np.int64), labels[wrong])
    assert bytes_of(statistics) == bytes_of(Statistics.of(rows, labels, 4))


def test_saved_statistics_come_back_and_go_on(tmp_path):
    rows, labels = table(3, octaves=8)
    statistics = Statistics.of(rows[:50], labels[:50], 4)
    statistics.save(tmp_path / "s.safetensors", {"backbone": "abc"})
    loaded = Statistics.load(tmp_path / "s.safetensors", backbone="abc")
    assert bytes_of(loaded) == bytes_of(statistics)
    loaded.update(rows[50:], labels[50:])
    assert bytes_of(loaded) == bytes_of(Statistics.of(rows, labels, 4))
    loaded.save(tmp_path / "a.safetensors", {"backbone": "abc"})
    Statistics.of(rows, labels, 4).save(tmp_path / "b.safetensors", {"backbone": "abc"})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign", "backbone", "shape"])
def test_files_that_cannot_be_used_are_named(tmp_path, damage):
    from safetensors.numpy import save

    path = tmp_path / "s.safetensors"
    Statistics.of(*table(4), 4).save(path, {"backbone": "abc"})
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "foreign":
        path.write_bytes(save({"counts": np.zeros(3, np.int64)}))
    elif damage == "shape":
        tensors = {"counts": np.zeros(3, np.int64), "exponents": np.zeros(1, np.int64)}
        tensors["rows"] = np.zeros(1, np.int64)
        tensors |= {"sums": np.zeros((1, 2, 3), np.int64), "gram": np.zeros((1, 4), np.int64)}
        path.write_bytes(save(tensors, metadata={"format": "edgetransfer-statistics-1"}))
    with pytest.raises(DataError) as raised:
        Statistics.load(path, backbone="xyz" if damage == "backbone" else None)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_and_nothing_is_learned(bad):
    rows, labels = table(5)
    statistics = Statistics.of(rows, labels, 4)
    before = bytes_of(statistics)
    spoilt = rows.copy()
    spoilt[3, 2] = bad
    with pytest.raises(DataError, match="finite"):
        statistics.update(spoilt, labels)
    assert bytes_of(statistics) == before


def test_what_does_not_fit_is_refused():
    rows, labels = table(6)
    statistics = Statistics.of(rows, labels, 4)
    with pytest.raises(DataError, match="never learned"):
        Statistics(7, 4).subtract(rows, labels)
    with pytest.raises(DataError, match="do not go with"):
        statistics.merge(Statistics(7, 5))
    with pytest.raises(DataError, match="do not fit"):
        statistics.update(rows[:, :6], labels)
    with pytest.raises(DataError, match="outside"):
        statistics.update(rows, labels + 1)


@given(
    seed=st.integers(0, 10**6),
    octaves=st.sampled_from([0, 3]),
    parts=st.integers(1, 8),
    n=st.integers(0, 90),
    shuffle=st.randoms(use_true_random=False),
)
def test_beyond_one_number_they_are_as_exact(seed, octaves, parts, n, shuffle):
    rows, labels = table(seed, octaves=octaves)
    gone = np.random.default_rng(seed).permutation(len(rows))[:n]
    kept = np.setdiff1d(np.arange(len(rows)), gone)
    wide = Statistics.of(rows[kept], labels[kept], 4).moments()
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "FULL", 1 << 44)
        merged = Statistics(7, 4)
        for i in np.array_split(order, parts):
            merged.merge(Statistics.of(rows[i], labels[i], 4))
        whole = Statistics.of(rows, labels, 4).arrays()
        assert {k: v.tobytes() for k, v in merged.arrays().items()} == {
            k: v.tobytes() for k, v in whole.items()
        }
        assert "gram_high" in whole or octaves
        merged.subtract(rows[gone], labels[gone])
        expected = Statistics.of(rows[kept], labels[kept], 4).arrays()
        found = merged.arrays()
        assert {k: v.tobytes() for k, v in found.items()} == {
            k: v.tobytes() for k, v in expected.items()
        }
        again = Statistics.of_arrays(found)
        assert bytes_of(again) == bytes_of(merged)
    np.testing.assert_allclose(again.moments().total, wide.total, rtol=1e-13, atol=1e-13)


def test_a_stream_may_go_on_for_a_trillion_samples():
    rows, labels = table(3)
    once, many = Statistics.of(rows, labels, 4), Statistics.of(rows, labels, 4)
    for _ in range(34):
        many.merge(many)
    assert many.n == 90 << 34
    assert "gram_high" in many.arrays()
    expected, found = once.moments(), many.moments()
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.total / 2**34, expected.total, rtol=1e-10)
    many.update(rows, labels)
    many.subtract(rows, labels)
    assert bytes_of(Statistics.of_arrays(many.arrays())) == bytes_of(many)


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**20),
    classes=st.integers(2, 5),
    n=st.integers(5, 30),
    repeated=st.integers(0, 4),
)
def test_a_head_of_few_rows_is_that_of_their_statistics(seed, classes, n, repeated):
    rng = np.random.default_rng(seed)
    d = 40
    features = np.abs(
        rng.normal(size=(n, d)) + 2 * rng.normal(size=(classes, d))[np.arange(n) % classes]
    )
    labels = np.arange(n) % classes
    again = rng.integers(0, n, repeated)
    solver = StatisticsSolver(map=FeatureMap.made("power-l2", d))
    rows = solver.map(np.concatenate([features, features[again]]).astype(np.float32))
    labels = np.concatenate([labels, labels[again]]).astype(np.int64)
    names = tuple(f"class {i}" for i in range(classes))
    moments = Statistics.of(rows, labels, classes).moments()
    chosen, honest = solver.choose(moments, rows, labels)
    head, choice, left_out = solver.of_few(rows, labels, names)
    assert [(c.method, c.penalty) for c in choice.components] == [
        (c.method, c.penalty) for c in chosen.components
    ]
    assert choice.factor == pytest.approx(chosen.factor, rel=1e-3)
    np.testing.assert_allclose(left_out.probabilities(), honest.probabilities(), atol=1e-3)
    other = solver.solve(moments, names, chosen)
    raw = np.concatenate([features, rng.random((5, d)) * 3]).astype(np.float32)
    np.testing.assert_allclose(head.predict_proba(raw), other.predict_proba(raw), atol=2e-3)
    if other.novelty is not None:
        np.testing.assert_allclose(
            head.novelty.distances(head.map(raw)),
            other.novelty.distances(other.map(raw)),
            rtol=1e-2,
            atol=1e-3,
        )
