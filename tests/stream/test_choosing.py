"""Two learners on one stream: the better one answers, and nothing else changes by that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.errors import UsageError
from edgetransfer.heads import LinearHead
from edgetransfer.stream import LearningSettings, StatisticsLearner, check, forget
from edgetransfer.stream.learning.choosing_learner import ChoosingLearner
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.learner_state import LearnerState
from edgetransfer.stream.learning.learners import learner_for
from edgetransfer.stream.learning.paired_choice import LEAST, SURE, PairedChoice
from edgetransfer.stream.learning.records import Learned, Record
from edgetransfer.stream.learning.state_check import check_state
from tests.stream.test_statistics_learner import D, blob, by_name, learned, opened

AUTO: dict[str, Any] = {
    "learner": "auto",
    "batch_size": 8,
    "replay": 4,
    "refit_every": 32,
    "reservoir_bytes": 20_000,
    "window": 200,
    "l2": 1e-2,
}


def test_equals_do_not_take_turns_and_the_better_one_is_found() -> None:
    rng = np.random.default_rng(0)
    for first, second, most in ((0.8, 0.8, 4), (0.85, 0.8, 0), (0.7, 0.8, 1)):
        choice = PairedChoice(500)
        for right in rng.random((4000, 2)) < (first, second):
            choice.update(*right.tolist())
        assert choice.switches <= most
        assert choice.second == (first < second)
    for right in rng.random((2000, 2)) < (0.8, 0.6):
        choice.update(*right.tolist())
    assert (choice.second, choice.switches) == (False, 2)


def test_it_goes_over_when_it_is_sure_and_back_when_nothing_speaks_for_it() -> None:
    choice = PairedChoice(1000)
    for n in range(1, 60):
        choice.update(True, True)
        choice.update(False, True)
        assert choice.second == (n >= max(LEAST, SURE**2))
        if choice.second:
            break
    lead = choice.alone[1]
    for n in range(1, lead + 10):
        choice.update(True, False)
        assert choice.second == (n < lead)


def fed(learner: StatisticsLearner | ChoosingLearner, rows: Any, labels: Any) -> list[str | None]:
    """Give records; what each sample was taken for. A solved head is up to 32 samples old."""
    said: list[str | None] = []
    exact = learner.exact if isinstance(learner, ChoosingLearner) else learner
    head = exact.head
    for n, (row, label) in enumerate(zip(rows, labels, strict=True)):
        if n % 32 == 0:
            head = exact.head
        guess = guessed(head, row)
        stepping = isinstance(learner, ChoosingLearner) and learner.choice.second
        said.append(guessed(learner.head, row) if stepping else guess)
        learner.apply(
            Record(
                n=n,
                group=n,
                kind="sample",
                id=f"s{n}",
                label=label,
                rows=row[None],
                predicted=guess,
            )
        )
    return said


def guessed(head: LinearHead, row: Any) -> str | None:
    return head.classes[int(head.predict(row[None])[0])] if head.classes else None


@pytest.mark.parametrize("drift", [False, True])
def test_the_better_one_answers(drift: bool) -> None:
    """Without drift statistics, for good; with one soon the steps, far above statistics alone."""
    rng = np.random.default_rng(1)
    n, turn = 480, 200
    places = rng.integers(0, 3, n)
    rows = rng.normal(2, 1, (n, D)).astype(np.float32)
    looks = (places + (np.arange(n) >= turn) * drift) % 3
    rows[np.arange(n), looks] += 3
    labels = [f"class {k}" for k in places]
    right = {}
    for name in ("statistics", "auto"):
        given_ = {**AUTO, "reservoir_bytes": 600} if name == "auto" else {"learner": name}
        learner = learner_for(D, LearningSettings(**given_))
        assert isinstance(learner, StatisticsLearner | ChoosingLearner)
        said = fed(learner, rows, labels)
        right[name] = np.mean([a == b for a, b in zip(said, labels, strict=True)][-100:])
        if name == "auto":
            standing = learner.standing()
            assert (standing["answers"], standing["switches"]) == (
                ("replay", 1) if drift else ("statistics", 0)
            )
            assert set(standing["test_then_train"]) == {"statistics", "replay"}
            # What is scored is what was said, but for what waits for its batch.
            scored = learner.counts.learned - learner.waiting
            told = [a == b for a, b in zip(said, labels, strict=True)][:scored]
            assert learner.scores.total["top1"] == pytest.approx(np.mean(told), abs=1e-9)
        learner.close()
    if drift:
        assert right["auto"] > 0.9
        assert right["statistics"] < 0.6
    else:
        assert right["auto"] >= right["statistics"] - 0.01


KINDS = st.lists(
    st.tuples(
        st.sampled_from(["sample", "sample", "sample", "later", "label", "relabel", "flush"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    min_size=20,
    max_size=60,
)


def records_of(events: list[tuple[str, int, int]]) -> list[Record]:
    records: list[Record] = []
    pending: list[str] = []
    labels: dict[str, str] = {}
    for n, (kind, a, b) in enumerate(events):
        rng = np.random.default_rng(n)
        rows = rng.normal(0, 1, (1 + n % 2, D)).astype(np.float32)
        rows[:, a] += 4
        given_: dict[str, Any] = {"kind": "sample", "id": f"s{n}", "rows": rows}
        if kind == "label" and pending:
            name = pending.pop(0)
            given_ = {"kind": "label", "id": name, "rows": by_id(records, name), "label": f"c{a}"}
        elif kind == "relabel" and labels:
            name = sorted(labels)[b % len(labels)]
            was = labels[name]
            given_ = {"kind": "relabel", "id": name, "rows": by_id(records, name), "was": was}
            given_["label"] = f"c{a}" if b else "new"
        elif kind == "flush":
            given_ = {"kind": "flush"}
        elif kind == "later":
            pending.append(f"s{n}")
        else:
            given_["label"] = f"c{a}"
        if given_.get("label"):
            labels[given_["id"]] = given_["label"]
            if given_["kind"] != "relabel":
                given_["predicted"] = f"c{b}" if b else None
        records.append(Record(n=n, group=n, time=float(n), **given_))
    return records


def by_id(records: list[Record], name: str) -> Any:
    rows = next(r.rows for r in records if r.id == name and r.rows is not None)
    assert rows is not None
    return rows


def of_class(records: list[Record], names: list[str]) -> dict[bytes, Learned | None]:
    latest = {
        r.id: Learned(label=r.label, rows=r.rows) for r in records if r.label and r.rows is not None
    }
    return {id_key(name): learned for name, learned in latest.items() if learned.label in names}


def told(state: LearnerState) -> Any:
    arrays = {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in state.arrays.items()}
    return arrays, state.values


@settings(max_examples=10, deadline=None)
@given(events=KINDS, cut=st.floats(0, 1), forgotten=st.booleans())
def test_a_state_is_a_function_of_the_records(
    events: list[tuple[str, int, int]], cut: float, forgotten: bool
) -> None:
    records = records_of(events)
    whole = ChoosingLearner(D, LearningSettings(**AUTO))
    part = ChoosingLearner(D, LearningSettings(**AUTO))
    at = int(cut * len(records))
    for record in records[:at]:
        whole.apply(record)
        part.apply(record)
    if forgotten:
        for learner in (whole, part):
            learner.forget(
                of_class(records[:at], learner.classes[:1]), frozenset(learner.classes[:1])
            )
    state = part.state()
    check_state(state)
    again = ChoosingLearner(D, LearningSettings(**AUTO))
    again.restore(state)
    for record in records[at:]:
        if forgotten and record.kind != "sample" and record.kind != "flush":
            record = Record(n=record.n, group=record.n, kind="flush")  # its sample may be gone
        whole.apply(record)
        again.apply(record)
    assert told(whole.state()) == told(again.state())
    check_state(whole.state())
    for learner in (whole, part, again):
        learner.close()


@pytest.mark.parametrize("running", [True, False])
def test_corrections_are_exact_in_the_statistics_and_leave_nothing(
    tmp_path: Path, running: bool
) -> None:
    run = tmp_path / "run"
    durable = opened(run, AUTO)
    (run / "config.toml").write_text("[stream]\nlearner = 'auto'\n")
    durable.accept([blob(i, views=2) for i in range(60)])
    assert durable.relabel(["s3", "s58"], "class 1")[0].status == "relabelled"
    gone = ["s5", "s17", "s59"]
    if running:
        assert durable.remove(frozenset(gone), frozenset(["class 0"])) == 22
    durable.save()
    durable.close()
    if not running:
        report = forget(run, ids=frozenset(gone), classes=frozenset(["class 0"]))
        assert report["removed"] == 22
    durable = opened(run, AUTO)
    durable.accept([blob(60 + i, views=2, label="class 2") for i in range(9)])
    durable.close()  # without a checkpoint
    durable = opened(run, AUTO)
    labels = {3: "class 1", 58: "class 1"}
    there = [i for i in range(60) if f"s{i}" not in gone and (i % 3 or i in labels)]
    offers = [blob(i, views=2, label=labels.get(i)) for i in there]
    never = learned([*offers, *(blob(60 + i, views=2, label="class 2") for i in range(9))])
    learner = durable.learner
    assert isinstance(learner, ChoosingLearner)
    assert by_name(learner.exact) == by_name(never)
    assert set(learner.stepping.class_counts) == {"class 1", "class 2"}
    assert learner.stepping.head.classes == ("class 1", "class 2")
    durable.save()
    durable.close()
    assert check(run).findings == ()
    for name in gone:
        rows = blob(int(name[1:]), views=2).rows
        assert rows is not None
        for path in run.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert rows.tobytes() not in content
            assert rows[0].astype(np.float16).tobytes() not in content
            assert f'"{name}"'.encode() not in content


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_state_that_no_learner_saves_is_refused(data: st.DataObject) -> None:
    learner = ChoosingLearner(D, LearningSettings(**AUTO))
    for record in records_of([("sample", i % 3, i % 2) for i in range(21)]):
        learner.apply(record)
    state = learner.state()
    learner.close()
    name = data.draw(st.sampled_from(sorted(state.arrays)))
    array = state.arrays[name]
    state.arrays[name] = data.draw(
        st.sampled_from([array.astype(np.complex64), array[None], np.zeros((), np.int8)])
    )
    with pytest.raises((ValueError, KeyError, TypeError)):
        check_state(state)


def test_its_settings() -> None:
    assert LearningSettings(learner="auto", recent=50, replay=2).learner == "auto"
    with pytest.raises(UsageError, match="learner"):
        LearningSettings(learner="both")  # type: ignore[arg-type]
