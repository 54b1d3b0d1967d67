"""The choice among closed-form heads, and what is said of the chosen one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.errors import DataError, UsageError
from edgetransfer.heads import (
    ClosedFormSolver,
    calibration_error,
    closed_form,
    row_moments,
    spectrum,
)
from edgetransfer.heads.selection import Votes
from tests.heads.blobs import blobs

CLASSES = ("a", "b", "c")


def rings(seed, n=300):
    """Two classes that no straight line separates: short and long rows of two directions."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    angles = rng.uniform(0, 2 * np.pi, n)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows[labels == 1] = rows[labels == 1] * 0.3 + rng.choice([-0.2, 0.2], (labels.sum(), 1))
    return (np.hstack([rows, np.ones((n, 1))]) * 3).astype(np.float32), labels


def test_head_on_unseen_samples_is_as_good_as_it_said():
    features, labels = blobs(seed=1, n=600, spread=1.2)
    result = ClosedFormSolver().fit(features[:300], labels[:300], CLASSES)
    said = result.chosen.accuracy
    found = (result.head.predict(features[300:]) == labels[300:]).mean()
    assert abs(said - found) < 0.06
    honest = result.honest
    right = honest.logits[honest.tested].argmax(axis=1) == honest.labels[honest.tested]
    assert right.mean() == pytest.approx(said, abs=0.02)


def test_probabilities_are_calibrated_on_left_out_samples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 900)
    rows = rng.standard_normal((900, 40)) + 1.2 * np.eye(3, 40)[labels] + 3
    features = rows.astype(np.float32)
    for methods in (("lda",), ("ridge",), ("lda", "ridge")):
        solver = ClosedFormSolver(methods=methods, maps=("raw",))
        head = solver.fit(features[:300], labels[:300], CLASSES).head
        assert calibration_error(head.predict_proba(features[300:]), labels[300:]) < 0.1


def test_random_directions_separate_what_no_line_does():
    features, labels = rings(1)
    accuracy = {}
    for name in ("raw", "relu"):
        result = ClosedFormSolver(maps=(name,)).fit(features, labels, CLASSES[:2])
        accuracy[name] = result.chosen.accuracy
        fresh, known = rings(2)
        assert (result.head.predict(fresh) == known).mean() > accuracy[name] - 0.1
    assert accuracy["relu"] > accuracy["raw"] + 0.1


def test_threads_change_no_bit():
    features, labels = blobs(seed=2, spread=1.5)
    first, second = (ClosedFormSolver().fit(features, labels, CLASSES, threads=n) for n in (1, 2))
    assert np.array_equal(first.head.weights, second.head.weights)
    assert first.tried == second.tried


def test_threads_change_no_bit_of_many_rows_either():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 10_000)  # more than one block, and than penalties are tried on
    features = rng.standard_normal((10_000, 24), np.float32) + np.eye(3, 24, dtype="f4")[labels]
    solver = ClosedFormSolver(maps=("raw",))
    one, two = (solver.fit(features, labels, CLASSES, threads=n) for n in (1, 2))
    assert np.array_equal(one.head.weights, two.head.weights)
    assert np.array_equal(one.honest.logits, two.honest.logits)
    assert one.tried == two.tried
    assert one.head.novelty.threshold == two.head.novelty.threshold
    assert len(one.honest.labels) == 10_000


def test_float32_sums_of_very_many_rows_are_good_enough(monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 6000)
    features = np.maximum(rng.standard_normal((6000, 80)) / np.arange(1, 81) ** 0.7, 0)
    features[:, :3] += 0.5 * np.eye(3)[labels]
    features = features.astype(np.float32)
    solver = ClosedFormSolver(maps=("raw",))
    exact = solver.fit(features, labels, CLASSES)
    monkeypatch.setattr(row_moments, "MANY", 0)
    quick = solver.fit(features, labels, CLASSES)
    np.testing.assert_allclose(
        quick.head.predict_proba(features), exact.head.predict_proba(features), atol=1e-3
    )


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    per_class=st.lists(st.integers(1, 8), min_size=2, max_size=4),
    d=st.one_of(st.integers(2, 12), st.integers(20, 30)),
    class_weights=st.sampled_from(["none", "balanced"]),
    map_name=st.sampled_from(["raw", "l2", "power", "power-l2", "relu"]),
)
def test_every_shape_gives_a_finite_head(seed, per_class, d, class_weights, map_name):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(per_class)), per_class)
    features = rng.standard_normal((len(labels), d)).astype(np.float32)
    features[:, rng.integers(d)] = 0
    classes = tuple(map(str, range(len(per_class))))
    solver = ClosedFormSolver(maps=(map_name,), class_weights=class_weights)
    result = solver.fit(features, labels, classes)
    assert np.isfinite(result.head.weights).all()
    probabilities = result.head.predict_proba(features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    # Rows that differ in length alone are the same to a map that divides by it.
    distinct = np.bincount(labels[np.unique(result.honest.alike)])
    assert len(result.honest.tested) == distinct[distinct > 1].sum()
    # Along few directions two that have nothing to do with each other may be near.
    assert map_name != "raw" or d < 20 or distinct.tolist() == per_class


def wide(seed, n=400, d=90, k=4):
    """Variances that fall like those of a backbone's features; some rows are there twice."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    features = rng.standard_normal((n, d), np.float32) * np.arange(1, d + 1) ** -0.5
    features[:, :k] += 0.7 * np.eye(k)[labels]
    features[-8:] = features[:8]
    return np.abs(features).astype(np.float32), labels.astype(np.int64)


def test_a_basis_in_float32_chooses_alike_and_the_head_is_exact(monkeypatch):
    """Also with copies, which are in the head and not in the basis."""
    features, labels = wide(0)
    solver, classes = ClosedFormSolver(maps=("raw",), penalty=0.1), tuple("abcd")
    exact = solver.fit(features, labels, classes)
    for module in (spectrum, closed_form):
        monkeypatch.setattr(module, "PRECISE", 0)
    quick = solver.fit(features, labels, classes)
    assert quick.honest.logits.dtype == np.float32 != exact.honest.logits.dtype
    assert quick.chosen.solver == exact.chosen.solver
    np.testing.assert_allclose(quick.honest.logits, exact.honest.logits, atol=2e-3)
    np.testing.assert_allclose(
        quick.head.logits(features), exact.head.logits(features), rtol=2e-3, atol=2e-3
    )


def test_a_map_that_is_no_better_at_the_usual_penalties_is_given_up(monkeypatch):
    """Where that saves a decomposition; a better one is tried and taken."""
    for module in (spectrum, closed_form):
        monkeypatch.setattr(module, "PRECISE", 0)
    features, labels = wide(1)
    classes = tuple("abcd")
    lengths = np.random.default_rng(0).uniform(0.2, 30, (len(features), 1)).astype(np.float32)
    tried = {}
    for name, rows in (("plain", features), ("scaled", features * lengths)):
        result = ClosedFormSolver(maps=("raw", "l2")).fit(rows, labels, classes, threads=2)
        tried[name] = {trial.map for trial in result.tried}, result.chosen.map
    assert tried["scaled"] == ({"raw", "l2"}, "l2")
    given_up = ClosedFormSolver(maps=("l2", "raw")).fit(features * lengths, labels, classes)
    assert {trial.map for trial in given_up.tried} == {"l2"}


@given(seed=st.integers(0, 10**6), n=st.integers(4, 40), m=st.integers(0, 12))
def test_moments_of_samples_and_more_are_those_of_all(seed, n, m):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n + m)
    rows = (rng.standard_normal((n + m, 6)) * 3 + 5).astype(np.float32)
    all_at_once = row_moments.moments_of(rows, labels, 3)
    joined = row_moments.with_more(
        row_moments.moments_of(rows[:n], labels[:n], 3), rows[n:], labels[n:]
    )
    assert np.array_equal(joined.counts, all_at_once.counts)
    for part in ("class_means", "mean", "total"):
        np.testing.assert_allclose(
            getattr(joined, part), getattr(all_at_once, part), rtol=1e-6, atol=1e-4
        )


def test_equal_features_give_the_shares_of_the_classes():
    features, labels = np.full((8, 5), 0.3, np.float32), np.array([0] * 6 + [1] * 2)
    head = ClosedFormSolver(methods=("lda",)).fit(features, labels, CLASSES[:2]).head
    assert head.predict_proba(features[:1])[0] == pytest.approx([0.5, 0.5], abs=0.3)
    assert np.isfinite(head.weights).all()


def test_balanced_weights_find_a_rare_class():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 380 + [1] * 20)
    features = (rng.standard_normal((400, 6)) + 1.0 * labels[:, None]).astype(np.float32)
    recall = {}
    for weights in ("none", "balanced"):
        for method in ("ridge", "lda"):
            solver = ClosedFormSolver(methods=(method,), maps=("raw",), class_weights=weights)
            head = solver.fit(features, labels, CLASSES[:2]).head
            recall[method, weights] = (head.predict(features)[labels == 1] == 1).mean()
    for method in ("ridge", "lda"):
        assert recall[method, "balanced"] > recall[method, "none"] + 0.1


def test_doubled_samples_do_not_vouch_for_each_other():
    """Noise that is there twice must look like noise, not like two samples that agree."""
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((60, 30)).astype(np.float32), np.arange(60) % 3
    once = ClosedFormSolver().fit(features, labels, CLASSES)
    twice = ClosedFormSolver().fit(np.tile(features, (2, 1)), np.tile(labels, 2), CLASSES)
    assert twice.chosen.accuracy == once.chosen.accuracy < 0.6
    assert len(twice.honest.labels) == 60


def test_usual_candidate_stays_unless_another_is_better_beyond_doubt():
    votes = Votes.of(np.arange(100) % 2, np.array([50, 50]), "none")
    usual = np.arange(100) < 80
    little, much = usual.copy(), usual.copy()
    little[[80, 0]] = True, False
    little[81] = True
    much[80:95] = True
    assert votes.choose([usual, little], 0) == 0
    assert votes.choose([usual, little, much], 0) == 2


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("shots", [1, 2, 4])
def test_the_map_of_few_photos_is_the_one_that_costs_least(shots, many, monkeypatch):
    if many:
        for module in (spectrum, closed_form):
            monkeypatch.setattr(module, "PRECISE", 0)
    rng = np.random.default_rng(shots)
    labels = np.repeat(np.arange(6), shots)
    rows = np.abs(rng.standard_normal((len(labels), 4)) + 2 * np.eye(6, 4)[labels])
    chosen = ClosedFormSolver().fit(rows.astype(np.float32), labels, tuple("abcdef")).chosen
    assert (chosen.solver, chosen.map) == ("lda+ridge", "l2")


def test_few_photos_are_no_worse_than_nearest_means():
    differences = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        centres = rng.standard_normal((8, 40))
        spread = np.exp(rng.standard_normal(40))
        for shots in (1, 2, 5):
            labels = np.repeat(np.arange(8), shots)
            rows = np.abs(centres[labels] + spread * rng.standard_normal((len(labels), 40)))
            known = np.repeat(np.arange(8), 50)
            tests = np.abs(centres[known] + spread * rng.standard_normal((400, 40)))
            head = ClosedFormSolver().fit(rows.astype(np.float32), labels, tuple("abcdefgh")).head
            means = np.stack([rows[labels == k].mean(axis=0) for k in range(8)])
            nearest = ((tests[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
            ours = head.predict(tests.astype(np.float32))
            differences.append((ours == known).mean() - (nearest == known).mean())
    assert np.mean(differences) > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [("nan", "finite"), ("one class", "one class"), ("missing", "no sample")],
)
def test_what_cannot_be_fitted_is_refused(change, words):
    features, labels = blobs(seed=3, n=30)
    classes = CLASSES
    if change == "nan":
        features[4, 1] = np.nan
    elif change == "one class":
        labels[:], classes = 0, CLASSES[:1]
    else:
        labels[labels == 2] = 1
    with pytest.raises(DataError, match=words):
        ClosedFormSolver().fit(features, labels, classes)


def test_senseless_settings_are_refused():
    with pytest.raises(UsageError, match="--penalty"):
        ClosedFormSolver(penalty=0.0)
    with pytest.raises(UsageError, match="--class-weights"):
        ClosedFormSolver(class_weights="some")


def test_what_does_not_fit_is_refused_before_it_is_taken(monkeypatch):
    """For all shapes: what is asked for grows with each of the three, and is named."""
    from collections import namedtuple

    from edgetransfer.errors import DataError
    from edgetransfer.heads import memory, spectrum

    there = namedtuple("there", "total")
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: there(16 * 2**30))
    for shape in ((3_030, 1280, 101), (50_000, 1280, 1000), (3, 2048, 2), (20_000, 256, 10)):
        memory.check_fits(*shape, at_once=2)
    for shape in ((20_000_000, 1280, 101), (50_000, 1280, 100_000), (100_000, 200_000, 2)):
        with pytest.raises(DataError, match=r"GiB, and this machine has 16.0; --solver sgd"):
            memory.check_fits(*shape, at_once=1)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: there(1000))
    monkeypatch.setattr(spectrum.np.linalg, "eigh", lambda _: pytest.fail("it was begun"))
    with pytest.raises(DataError, match="of 2 classes on 4 samples of 3 features"):
        ClosedFormSolver().fit(np.eye(4, 3, dtype=np.float32), np.array([0, 0, 1, 1]), ("a", "b"))
