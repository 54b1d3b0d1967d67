"""A head of the last samples alone: as if there had been no others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.errors import UsageError
from edgetransfer.stream import LearningSettings, Offer, StatisticsLearner, forget
from edgetransfer.stream.learning.records import Record
from tests.stream.test_statistics_learner import blob, by_name, learned, opened

Action = tuple[str, int]


def without_empty(learner: StatisticsLearner) -> dict[str, Any]:
    """What was learned, but for classes that have no sample (any more)."""
    learned = by_name(learner)
    full = [name for name in learned["classes"] if learned["by_class"][name]]
    arrays = learner.statistics.arrays()
    places = [learner.classes.index(name) for name in full]
    return {
        "by_class": {name: learned["by_class"][name] for name in full},
        "counts": arrays["counts"][places].tolist(),
        "sums": arrays["sums"][:, places].tobytes(),
        **{name: learned[name] for name in ("gram", "kept", "labels")},
    }


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    n=st.integers(5, 40),
    recent=st.integers(2, 12),
    views=st.integers(1, 2),
    actions=st.lists(
        st.tuples(st.sampled_from(["relabel", "forget", "kill"]), st.integers(0, 39)), max_size=5
    ),
)
def test_it_knows_the_last_samples_alone(
    tmp_path: Path, n: int, recent: int, views: int, actions: list[Action]
) -> None:
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    durable = opened(tmp_path / "run", {"recent": recent})
    labels = {f"s{i}": f"class {i % 3}" for i in range(n)}
    there = list(labels)[-recent:]
    durable.accept([blob(i, views=views) for i in range(n)])
    for action, i in actions:
        name = f"s{i}"
        if action == "relabel" and i < n:
            durable.relabel([name], "class 1")
            labels[name] = "class 1"
        elif action == "forget" and i < n:
            durable.forget([name])
            labels.pop(name, None)
            there = [one for one in there if one != name]
        elif action == "kill":
            if i % 2:
                durable.save()
            durable.close()
            durable = opened(tmp_path / "run", {"recent": recent})
    expected = learned(
        [blob(int(s[1:]), views=views, label=labels[s]) for s in there if s in labels]
    )
    assert without_empty(durable.learner) == without_empty(expected)  # type: ignore[arg-type]
    durable.close()


def test_an_offline_change_takes_what_is_past_from_the_journal_alone(tmp_path: Path) -> None:
    durable = opened(tmp_path / "run", {"recent": 6})
    durable.accept([blob(i) for i in range(20)])
    before = without_empty(durable.learner)  # type: ignore[arg-type]
    durable.save()
    durable.close()
    forget(tmp_path / "run", ids=frozenset(["s1"]), classes=frozenset())
    durable = opened(tmp_path / "run", {"recent": 6})
    assert without_empty(durable.learner) == before  # type: ignore[arg-type]
    durable.close()
    forget(tmp_path / "run", ids=frozenset(), classes=frozenset(["class 1"]))
    durable = opened(tmp_path / "run", {"recent": 6})
    assert durable.learner.class_counts == {"class 0": 2, "class 2": 2}
    durable.close()


def test_what_has_changed_its_looks_is_learned_anew() -> None:
    """Two classes that exchange their looks after half of the stream."""
    rng = np.random.default_rng(0)
    accuracy = {}
    for recent in (None, 100):
        offers = []
        for i in range(800):
            label = i % 2
            rows = rng.normal(0, 1, (1, 6)).astype(np.float32) + 2
            rows[:, label if i < 400 else 1 - label] += 3
            offers.append(Offer(id=f"s{i}", label=str(label), rows=rows))
        learner = learned(offers, recent=recent)
        tests = np.vstack([offer.rows for offer in offers[-200:]])
        names = np.array(learner.head.classes)[learner.head.predict(tests)]
        accuracy[recent] = (names == [offer.label for offer in offers[-200:]]).mean()
        learner.close()
    assert accuracy[100] > 0.95
    assert accuracy[None] < 0.7


@pytest.mark.parametrize("views", [1, 2])
def test_the_report_says_how_many_samples_count(views: int) -> None:
    for n, recent, known in ((20, None, 20), (20, 12, 12), (5, 12, 5)):
        learner = learned([blob(i, views=views) for i in range(n)], recent=recent)
        assert learner.standing()["known"] == known
        learner.close()


def test_where_nothing_changes_it_costs_what_fewer_photos_cost() -> None:
    """The head of the last N is that of N photos: it lacks what the others would have taught."""
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 0.8, (4, 24))

    def drawn(n: int) -> tuple[Any, Any]:
        labels = rng.integers(0, 4, n)
        rows = np.abs(centres[labels] + rng.normal(0, 1, (n, 24))).astype(np.float32)
        return rows, labels

    rows, labels = drawn(800)
    tests, truth = drawn(4000)
    offers = [
        Offer(id=f"s{i}", label=str(k), rows=row[None])
        for i, (row, k) in enumerate(zip(rows, labels.tolist(), strict=True))
    ]
    accuracy = {}
    for name, given_, recent in (
        ("all", offers, None),
        ("last", offers, 100),
        ("few", offers[-100:], None),
    ):
        learner = StatisticsLearner(24, LearningSettings(learner="statistics", recent=recent))
        for n, offer in enumerate(given_):
            learner.apply(
                Record(n=n, group=n, kind="sample", id=offer.id, label=offer.label, rows=offer.rows)
            )
        head = learner.head
        names = np.array(head.classes)[head.predict(tests)].astype(int)
        accuracy[name] = float((names == truth).mean())
        learner.close()
    assert accuracy["last"] == pytest.approx(accuracy["few"], abs=1e-9)
    assert 0.01 < accuracy["all"] - accuracy["last"] < 0.15


def test_replay_has_no_such_setting() -> None:
    for other in ({"learner": "replay"}, {"replay": 2}):
        with pytest.raises(UsageError, match="--recent"):
            LearningSettings(recent=100, **other)  # type: ignore[arg-type]
