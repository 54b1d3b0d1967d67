"""What no head can be fitted to, and what little it can be: for every solver alike."""

from collections import namedtuple

import numpy as np
import pytest

from edgetransfer.errors import DataError
from edgetransfer.heads import ClosedFormSolver, LBFGSSolver, SGDSettings, SGDSolver, memory
from edgetransfer.heads.linear_head import LinearHead


def by_sgd(features, labels, classes):
    head = LinearHead.initial(features.shape[1], list(classes), seed=0)
    solver = SGDSolver(head, SGDSettings(), threads=1)
    for _ in range(20):
        solver.step(features, labels, 0.1)
    return solver.head


SOLVERS = {
    "auto": lambda *table: ClosedFormSolver(logistic=True).fit(*table).head,
    "ridge": lambda *table: ClosedFormSolver(methods=("ridge",)).fit(*table).head,
    "lda": lambda *table: ClosedFormSolver(methods=("lda",), maps=("raw",)).fit(*table).head,
    "balanced": lambda *table: ClosedFormSolver(class_weights="balanced").fit(*table).head,
    "lbfgs": lambda *table: LBFGSSolver().fit(*table).head,
}
ALL = {**SOLVERS, "sgd": by_sgd}


def table(n=12, d=5, k=3):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)).astype(np.float32), np.arange(n) % k, tuple("abc"[:k])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("solver", SOLVERS)
def test_features_that_are_not_finite_are_refused_before_any_solve(solver, bad, monkeypatch):
    features, labels, classes = table()
    features[7, 2] = bad
    monkeypatch.setattr(np.linalg, "eigh", lambda _: pytest.fail("it was begun"))
    monkeypatch.setattr("scipy.linalg.eigh", lambda *_, **__: pytest.fail("it was begun"))
    with pytest.raises(DataError, match="not a finite number"):
        SOLVERS[solver](features, labels, classes)


@pytest.mark.parametrize("value", [0.0, 0.3, -7.0, 1e6])
@pytest.mark.parametrize("dimension", [4, 40])
@pytest.mark.parametrize("solver", SOLVERS)
def test_equal_features_give_a_head_that_knows_nothing(solver, dimension, value):
    features, labels = np.full((12, dimension), value, np.float32), np.arange(12) % 3
    head = SOLVERS[solver](features, labels, tuple("abc"))
    probabilities = head.predict_proba(features[:1])[0]
    assert np.isfinite(head.weights).all()
    assert probabilities == pytest.approx(np.full(3, 1 / 3), abs=0.05)


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_class_is_refused(solver):
    features, labels, _ = table(k=1)
    with pytest.raises(DataError, match="at least two"):
        SOLVERS[solver](features, labels, ("a",))


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("solver", ALL)
def test_one_photo_of_a_class_is_enough_to_tell_it(solver, n):
    """One of the first class, n of the other: far apart, both are told."""
    features = np.zeros((1 + n, 6), np.float32)
    features[0, 0] = 3
    features[1:, 1] = np.linspace(2.5, 3, n)
    labels = np.array([0] + [1] * n)
    head = ALL[solver](features, labels, ("a", "b"))
    assert head.predict(features).tolist() == labels.tolist()


@pytest.mark.parametrize("solver", SOLVERS)
def test_more_than_the_memory_holds_is_refused_by_name(solver, monkeypatch):
    there = namedtuple("there", "total")
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: there(1000))
    with pytest.raises(DataError, match=r"of 3 classes on 12 samples of 5 features takes .* GiB"):
        SOLVERS[solver](*table())


def test_what_a_descent_takes_grows_with_each_number(monkeypatch):
    there = namedtuple("there", "total")
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: there(16 * 2**30))
    memory.check_descent_fits(3_030, 1280, 101, pairs=10, at_once=2)
    memory.check_descent_fits(50_000, 2048, 1000, pairs=10, at_once=1)
    for shape in ((20_000_000, 1280, 101), (60_000, 1280, 60_000), (100_000, 200_000, 2)):
        with pytest.raises(DataError, match="--solver sgd"):
            memory.check_descent_fits(*shape, pairs=10, at_once=1)


def test_what_steps_take_grows_with_features_and_classes_alone(monkeypatch):
    there = namedtuple("there", "total")
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: there(16 * 2**30))
    memory.check_steps_fit(1280, 100_000)
    for shape in ((1280, 1_000_000), (1_000_000, 1000)):
        with pytest.raises(DataError, match=r"GiB while it learns, and this machine has 16.0"):
            memory.check_steps_fit(*shape)
