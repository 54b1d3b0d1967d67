"""The learner on statistics: no order or kill leaves a trace."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.errors import UsageError
from edgetransfer.heads import ClosedFormSolver, LinearHead
from edgetransfer.runs import RunFolder
from edgetransfer.stream import (
    DurableLearner,
    KeepingSettings,
    LearningSettings,
    Offer,
    StatisticsLearner,
    check,
)
from edgetransfer.stream.learning.records import Record

D = 6
RARE = {"checkpoint_seconds": 1e9}


def opened(path: Path, learning: dict[str, Any] | None = None, **keeping: Any) -> DurableLearner:
    path.mkdir(exist_ok=True)
    (path / "config.toml").write_text("[stream]\nlearner = 'statistics'\n")
    return DurableLearner(
        RunFolder(path),
        D,
        LearningSettings(**(learning or {})),
        KeepingSettings(**{**RARE, **keeping}),
        identity="blobs",
        head_metadata={"backbone": "blobs"},
    )


def blob(i: int, *, views: int = 1, label: str | None = None) -> Offer:
    rng = np.random.default_rng(i)
    rows = rng.normal(0, 1, (views, D)).astype(np.float32)
    rows[:, i % 3] += 4
    return Offer(id=f"s{i}", label=label or f"class {i % 3}", rows=rows)


def by_name(learner: StatisticsLearner) -> dict[str, Any]:
    """What was learned, whatever the order that classes were born in."""
    order = np.argsort(learner.classes)
    arrays = learner.statistics.arrays()
    rows, labels = learner.memory.kept.table()
    return {
        "classes": sorted(learner.classes),
        "counts": arrays["counts"][order].tolist(),
        "sums": arrays["sums"][:, order].tobytes(),
        "gram": arrays["gram"].tobytes(),
        "by_class": {k: learner.class_counts[k] for k in sorted(learner.classes)},
        "kept": rows.tobytes(),
        "labels": [learner.classes[k] for k in labels.tolist()],
    }


def learned(offers: Sequence[Offer], **kwargs: Any) -> StatisticsLearner:
    learner = StatisticsLearner(D, LearningSettings(learner="statistics", **kwargs))
    for n, offer in enumerate(offers):
        learner.apply(
            Record(n=n, group=n, kind="sample", id=offer.id, label=offer.label, rows=offer.rows)
        )
    return learner


def column(head: LinearHead, name: str) -> np.ndarray[Any, Any]:
    k = head.classes.index(name)
    return np.append(head.weights[:, k], head.bias[k])


def test_few_samples_are_solved_from_their_rows_to_the_same_heads() -> None:
    """From the rows while they are few, from the statistics once they are many: one line."""
    d, rng = 60, np.random.default_rng(3)
    centres = 3 * rng.normal(size=(3, d))
    rows = np.abs(rng.normal(size=(40, d)) + centres[np.arange(40) % 3]).astype(np.float32)
    heads: dict[bool, list[LinearHead]] = {True: [], False: []}
    for few in heads:
        learner = StatisticsLearner(d, LearningSettings(learner="statistics"))
        if not few:
            learner.heads.of_few = lambda: None  # type: ignore[method-assign]
        for i, row in enumerate(rows):
            learner.apply(
                Record(
                    n=i,
                    group=i,
                    left=0,
                    kind="sample",
                    time=0.0,
                    id=f"s{i}",
                    label=f"c{i % 3}",
                    rows=row[None],
                    predicted=None,
                )
            )
            if few:
                assert (learner.heads.of_few() is not None) == (
                    len(learner.classes) >= 2 and i + 1 <= 15
                )
            heads[few].append(learner.head)
        learner.close()
    for one, other in zip(heads[True][1:], heads[False][1:], strict=True):
        np.testing.assert_allclose(one.predict_proba(rows), other.predict_proba(rows), atol=2e-3)


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(60)), views=st.integers(1, 2))
def test_order_changes_nothing_but_the_order_of_the_classes(order: list[int], views: int) -> None:
    one = learned([blob(i, views=views) for i in range(60)])
    other = learned([blob(i, views=views) for i in order])
    assert by_name(one) == by_name(other)
    for name in one.classes:
        assert column(one.head, name) == pytest.approx(column(other.head, name), abs=1e-5)


def test_the_head_is_that_of_a_batch() -> None:
    offers = [blob(i) for i in range(200)]
    rows = np.concatenate([o.rows for o in offers if o.rows is not None])
    labels = np.arange(200) % 3
    batch = ClosedFormSolver(maps=("power-l2",)).fit(
        rows, labels, ("class 0", "class 1", "class 2")
    )
    head = learned(offers).head
    assert head.map.name == batch.head.map.name
    assert head.weights == pytest.approx(
        batch.head.weights, abs=1e-5 * float(abs(head.weights).max())
    )
    assert head.predict_proba(rows) == pytest.approx(batch.head.predict_proba(rows), abs=1e-5)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_kill_anywhere_is_replayed_to_the_same_bits(tmp_path: Path, data: st.DataObject) -> None:
    """Samples, late labels, corrections and checkpoints in any order, then a kill."""
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    durable = opened(tmp_path / "run")
    for step in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from(["sample", "unlabelled", "label", "relabel", "save"]))
        ids = [f"s{data.draw(st.integers(0, max(step, 1) * 3))}" for _ in range(2)]
        if what == "sample":
            durable.accept([blob(3 * step + k) for k in range(3)])
        elif what == "unlabelled":
            durable.accept([replace(blob(3 * step + k), label=None) for k in range(2)])
        elif what == "label":
            durable.accept([Offer(id=i, label="late", rows=None) for i in ids])
        elif what == "relabel":
            durable.relabel(ids, data.draw(st.sampled_from(["class 0", "class 1", "new"])))
        else:
            durable.save()
    durable.close()
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    durable.learner.close()
    expected = state_of(durable.learner)
    again = opened(tmp_path / "copy")
    assert state_of(again.learner) == expected
    again.save()
    again.close()
    assert check(tmp_path / "copy").findings == ()


def state_of(learner: Any) -> dict[str, Any]:
    state = learner.state()
    return {**state.values, **{name: array.tobytes() for name, array in state.arrays.items()}}


def test_a_prediction_uses_what_was_acknowledged_half_a_second_ago(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    durable.accept([blob(i) for i in range(30)])
    assert durable.accept([replace(blob(31), label=None)])[0].predicted == "class 1"
    for name in ("new", "newer"):
        durable.accept([Offer(id=name, label=name, rows=np.full((1, D), 3, np.float32))])
        acknowledged = monotonic()
        while name not in durable.learner.newest.classes:
            assert monotonic() - acknowledged < 5  # 0.5 on a machine that is not busy
            sleep(0.01)
    durable.close()


def test_scores_are_of_what_was_said(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    said = [durable.accept([blob(i)])[0].predicted for i in range(80)]
    right = sum(guess == f"class {i % 3}" for i, guess in enumerate(said))
    assert durable.report()["prequential"]["top1"] == right / 80
    durable.close()


def test_features_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run")
    bad = [np.nan, np.inf, -np.inf]
    offers = [Offer(id=f"x{v}", label="a", rows=np.full((1, D), v, np.float32)) for v in bad]
    receipts = durable.accept([blob(0), *offers])
    assert [r.status for r in receipts] == ["accepted", *["rejected"] * 3]
    assert "not finite" in str(receipts[1].reason)
    durable.close()


@pytest.mark.parametrize(
    "rows",
    [np.zeros((1, D)), np.full((1, D), 1e-42), np.full((1, D), 3e38), np.full((1, D), -1.0)],
    ids=["zeros", "tiny", "huge", "equal"],
)
@pytest.mark.parametrize("classes", [1, 2])
def test_features_that_say_nothing(tmp_path: Path, rows: Any, classes: int) -> None:
    """All equal, one class, one photo: nothing but how often the classes were seen counts."""
    durable = opened(tmp_path / "run")
    rows = rows.astype(np.float32)
    for i in range(12):
        durable.accept([Offer(id=f"n{i}", label=f"{i % classes}", rows=rows)])
        found = durable.learner.head.predict_proba(rows)[0]
        assert found.sum() == pytest.approx(1, abs=1e-5)
        assert found[0] == pytest.approx(found.max(), abs=1e-3)
    assert found == pytest.approx(np.full(classes, 1 / classes), abs=0.05)
    durable.save()
    durable.close()
    opened(tmp_path / "run").close()


def test_settings_of_the_other_learner() -> None:
    with pytest.raises(UsageError, match="--replay, --l2: of --learner replay"):
        LearningSettings(learner="statistics", replay=4, l2=1.0)
    with pytest.raises(UsageError, match="statistics, replay"):
        LearningSettings(learner="sgd")  # type: ignore[arg-type]
    assert LearningSettings().resolved(None).learner == "statistics"
    assert LearningSettings(replay=4).resolved(None).learner == "replay"
    assert LearningSettings().resolved({"batch_size": 32}).learner == "replay"  # an old run
