"""Softmax regression stopped early: what it says of left-out samples, and what it brings."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.heads import ClosedFormSolver, FeatureMap
from edgetransfer.heads.candidates import MapCandidates, shares_of
from edgetransfer.heads.logistic import (
    STEPS,
    WIDTH,
    WORTH_IT,
    EarlyLogistic,
    is_worth_it,
    leading,
    stopped_early,
)
from edgetransfer.heads.spectrum import Spectrum
from tests.heads.blobs import blobs


@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    per_class=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    d=st.integers(2, 60),
)
def test_left_out_scores_are_of_heads_that_have_not_seen_the_sample(seed, per_class, d):
    """Changing a sample's features changes no other fold, and its own label is not learned."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(per_class)), per_class)
    features = rng.standard_normal((len(labels), d)).astype(np.float32)
    spectrum = Spectrum.of(features, labels, len(per_class))
    early = EarlyLogistic(spectrum)
    rows = leading(spectrum)
    counts = np.bincount(labels)
    for fold in range(5):
        outside = early.folds == fold
        if not outside.any():
            continue
        inside = ~outside
        alone = stopped_early(spectrum, rows[inside], labels[inside])
        np.testing.assert_array_equal(early.scores[outside], alone.logits(rows[outside]))
    lonely = counts[labels] == 1
    assert (early.folds[lonely] == -1).all()
    assert np.isneginf(early.scores[lonely, labels[lonely]]).all()
    assert np.isfinite(early.scores[~lonely]).all()


def test_threads_change_no_bit():
    features, labels = blobs(seed=3, n=200, spread=1.2)
    spectrum = Spectrum.of(features, labels, 3)
    one, two = (EarlyLogistic(spectrum, threads=n).scores for n in (1, 2))
    assert np.array_equal(one, two)


def test_the_head_is_that_of_the_rows():
    features, labels = blobs(seed=4, n=120, spread=1.0)
    spectrum = Spectrum.of(features, labels, 3)
    weights, bias = EarlyLogistic(spectrum).weights()
    rows = leading(spectrum)
    solution = stopped_early(spectrum, rows, labels)
    assert solution.iterations <= STEPS
    np.testing.assert_allclose(
        features @ weights + bias, solution.logits(rows), rtol=1e-3, atol=1e-3
    )


def hard(seed, n=600, d=40):
    """Two classes that touch along a line, far from all that their means tell of it."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d))
    labels = (rows[:, 0] + 0.3 * rows[:, 1] > 0).astype(np.int64)
    rows[:, 0] += np.where(labels == 1, rng.exponential(6, n), 0)  # far outliers of one class
    return rows.astype(np.float32), labels


def test_it_is_chosen_where_means_and_scatter_mislead():
    features, labels = hard(0)
    found = {
        logistic: ClosedFormSolver(maps=("raw",), logistic=logistic).fit(
            features, labels, ("a", "b")
        )
        for logistic in (False, True)
    }
    assert "logistic" in found[True].chosen.solver
    assert {"logistic", "lda", "ridge"} <= {trial.solver for trial in found[True].tried}
    fresh, known = hard(1, 4000)
    accuracy = {k: (v.head.predict(fresh) == known).mean() for k, v in found.items()}
    assert accuracy[True] > accuracy[False] + 0.02
    assert abs(found[True].chosen.accuracy - accuracy[True]) < 0.04
    assert "5-fold" in found[True].honest.method


def test_balanced_weights_move_the_border_for_all_parts():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 380 + [1] * 20)
    features = (rng.standard_normal((400, 6)) + 1.0 * labels[:, None]).astype(np.float32)
    recall = {}
    for weights in ("none", "balanced"):
        solver = ClosedFormSolver(maps=("raw",), logistic=True, class_weights=weights)
        (part,) = [
            parts[0]
            for parts in searched(solver, features, labels).candidates
            if [part.method for part in parts] == ["logistic"]
        ]
        shares = shares_of("logistic", np.bincount(labels), weights)
        logits = part.scores * part.factor + shares
        recall[weights] = (logits[labels == 1].argmax(axis=1) == 1).mean()
    assert recall["balanced"] > recall["none"] + 0.1


def searched(solver, features, labels):
    found = MapCandidates(
        FeatureMap(), Spectrum.of(features, labels, 2), ("lda",), None, solver.class_weights
    )
    found.add_logistic()
    return found


def test_it_is_left_out_where_it_says_little_or_takes_long():
    features, labels = blobs(seed=1, n=9)
    few = ClosedFormSolver(logistic=True).fit(features, labels, ("a", "b", "c"))
    assert not any("logistic" in trial.solver for trial in few.tried)
    assert is_worth_it(3030, 1280, 101)
    assert not is_worth_it(50_000, 2048, 1000)
    assert is_worth_it(WORTH_IT // WIDTH // 10, 5000, 10)  # the width is bounded
