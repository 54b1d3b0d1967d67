"""What the learner learns: classes that are born, replay, weights, refits."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from edgetransfer.heads import SGDSettings
from edgetransfer.stream import FeatureLearner, LearningSettings
from edgetransfer.stream.learning.growing import GrowingSolver
from edgetransfer.stream.learning.records import Record

D = 8


def stream(labels: list[int], seed: int = 0, spread: float = 1.0) -> list[Record]:
    """Gaussian blobs, 4 apart along axes of their own."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, spread, (len(labels), 1, D)).astype(np.float32)
    for i, label in enumerate(labels):
        rows[i, 0, label] += 4
    return [
        Record(n=i, group=i, kind="sample", id=str(i), label=str(label), rows=rows[i])
        for i, label in enumerate(labels)
    ]


def learned(records: list[Record], **settings: object) -> FeatureLearner:
    chosen: dict[str, object] = {"batch_size": 16, "reservoir_bytes": 2**16, **settings}
    learner = FeatureLearner(D, LearningSettings(**chosen))  # type: ignore[arg-type]
    for record in records:
        learner.apply(record)
    return learner


def accuracy(learner: FeatureLearner, labels: list[int]) -> float:
    records = stream(labels, seed=99)
    rows = np.concatenate([r.rows for r in records if r.rows is not None])
    head = learner.head
    names = np.array([int(name) for name in head.classes])
    return float((names[head.predict(rows)] == labels).mean())


def test_a_new_class_leaves_the_others_as_they_are() -> None:
    solver = GrowingSolver(D, SGDSettings())
    solver.grow(("a", "b"))
    rows = np.random.default_rng(0).normal(0, 1, (32, D)).astype(np.float32)
    solver.step(rows, np.arange(32) % 2, None)
    before, momentum = solver.head, solver.state()
    solver.grow(("a", "b", "c"))
    after = solver.head
    assert np.array_equal(after.logits(rows)[:, :2], before.logits(rows))
    assert after.bias[2] == before.bias.min()
    assert np.array_equal(solver.state()["weights_velocity"][:, :2], momentum["weights_velocity"])


def test_a_head_that_was_given_out_stays_and_the_next_one_is_new() -> None:
    solver = GrowingSolver(D, SGDSettings())
    solver.grow(("a", "b"))
    rows = np.random.default_rng(1).normal(0, 1, (8, D)).astype(np.float32)
    start = solver.state()
    changes = {
        "step": lambda: solver.step(rows, np.arange(8) % 2, None),
        "grow": lambda: solver.grow(("a", "b", "c")),
        "adopt": lambda: solver.adopt(np.ones((D, 1), np.float32), np.ones(1, np.float32), ("a",)),
        "restore": lambda: solver.restore(("a", "b"), start),
    }
    for name, change in changes.items():
        before = solver.head
        assert solver.head is before, "until something changes"
        kept = before.weights.copy()
        change()
        assert np.array_equal(before.weights, kept), name
        after, state = solver.head, solver.state()
        assert np.array_equal(after.weights, state["weights"]), name
        assert np.array_equal(after.bias, state["bias"]), name
        assert after.classes == solver.classes, name
        assert not np.array_equal(after.weights, kept), name


def test_classes_that_come_one_after_the_other_are_all_remembered() -> None:
    labels = [label for label in range(6) for _ in range(80)]
    test = [i % 6 for i in range(600)]
    remembering = learned(stream(labels), refit_every=0)
    assert accuracy(remembering, test) > 0.93
    # Without memory to speak of, the first classes fade: this is what the reservoir is for.
    forgetting = learned(stream(labels), refit_every=0, reservoir_bytes=2 * D + 24, replay=1)
    assert accuracy(forgetting, test) < 0.85


def test_a_rare_class_is_learned() -> None:
    labels = [0 if i % 50 else 1 for i in range(1000)]
    assert accuracy(learned(stream(labels), refit_every=0), [1] * 300) > 0.9


def test_class_weights_raise_the_rare_class() -> None:
    labels = [0 if i % 25 else 1 for i in range(64)]
    records = stream(labels, spread=3.0)
    test = [1] * 500
    plain = learned(records, refit_every=0, replay=1, replay_size=1)
    weighted = learned(records, refit_every=0, replay=1, replay_size=1, class_weights=True)
    assert accuracy(weighted, test) > accuracy(plain, test)


def test_a_refit_is_adopted_only_if_better() -> None:
    labels = np.random.default_rng(5).integers(0, 4, 600).tolist()
    records = stream(labels, spread=2.0)
    for record in records:  # a loud axis that says nothing: a slow start is misled by it
        assert record.rows is not None
        record.rows[0, 7] *= 30
    slow = learned(records, learning_rate=1e-5, refit_every=128, replay=1)
    assert slow.counts.refits >= 1
    assert slow.counts.adopted >= 1
    records = stream(labels, spread=2.0)
    # A stream that turns around after the snapshot: what was learned before is worse now.
    turned = [*labels[:160], *[(label + 1) % 4 for label in labels[160:]]]
    shifted = [Record(**{**vars(r), "label": str(turned[i])}) for i, r in enumerate(records[:400])]
    quick = learned(shifted, learning_rate=0.1, refit_every=160)
    assert (quick.counts.refits, quick.counts.adopted) == (1, 0)


def test_the_first_prediction_of_a_sample_is_made_before_it_is_learned() -> None:
    # Labels without any relation to the features can only be guessed, however often replayed.
    rng = np.random.default_rng(0)
    records = [Record(**{**vars(r), "label": str(rng.integers(2))}) for r in stream([0] * 800)]
    learner = learned(records, replay=32, refit_every=0)
    assert learner.scores.total["top1"] == pytest.approx(0.5, abs=0.06)


def test_records_out_of_order_are_refused() -> None:
    learner = learned([])
    with pytest.raises(ValueError, match="record 1 where 0"):
        learner.apply(stream([0, 0])[1])


def test_forgetting_a_class() -> None:
    learner = learned(stream([i % 4 for i in range(320)]), refit_every=0)
    learner.forget(frozenset(), frozenset({"2"}))
    assert learner.classes == ["0", "1", "3"]
    assert accuracy(learner, [0, 1, 3] * 100) > 0.95
    learner.close()


def test_forgetting_samples_leaves_no_row_of_them() -> None:
    learner = learned(stream([i % 2 for i in range(40)]), refit_every=0)
    removed = learner.forget(frozenset(str(i) for i in range(20)), frozenset())
    assert removed == 20
    assert len(learner.reservoir) + learner.waiting == 20
    learner.close()


def test_every_blas_is_limited_in_every_thread() -> None:
    """A refit's thread loads SciPy, and may not set limits while another thread does."""
    code = """
from threading import Thread
from threadpoolctl import threadpool_info
from edgetransfer.stream.learner import blas_on_one_thread

def refit():
    import sklearn.linear_model
    print([i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"])

with blas_on_one_thread():
    thread = Thread(target=refit)
    thread.start()
    thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {1}
