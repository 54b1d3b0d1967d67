"""Nobody who offers a sample waits for a fit, and what is learned is the same as if all had."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.data.streams import Arrival, Ledger
from edgetransfer.engines import FakeEngine
from edgetransfer.stream import FeatureSource, run_stream
from edgetransfer.stream.keeping import durable
from edgetransfer.stream.keeping.backlog import RECORD
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.learning import refit
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.learning.refit import fit
from edgetransfer.types import Preprocessing
from tests.stream.held_work import SMALL, Held, opened, rows, sample, told
from tests.stream.stream_pictures import label_of, picture, settings_for
from tests.waiting import until

LEARNERS = ("replay", "auto")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Refits that are not through before they are let go."""
    work = Held(fit)
    monkeypatch.setattr(refit, "fit", work)
    yield work
    work.go.set()


def what(receipts: Sequence[Receipt]) -> list[tuple[str, str, str | None]]:
    """All but predictions: they are made by what is learned by then."""
    return [(r.id, r.status, r.reason) for r in receipts]


def learned(run: DurableLearner) -> dict[str, Any]:
    """Everything that follows from records, and from no prediction."""
    run.settle()
    state = run.learner.state()
    if state.values.get("learner") == "auto":
        arrays = {n: a for n, a in state.arrays.items() if n.startswith(("replay/", "statistics/"))}
        return {
            **{n: a.tolist() for n, a in arrays.items() if not n.startswith("statistics/scores")},
            "counts": state.values["replay"]["counts"] | {"last_time": 0},
        }
    return {
        **{n: a.tolist() for n, a in state.arrays.items()},
        **(state.values | {"counts": state.values["counts"] | {"last_time": 0}}),
    }


@pytest.mark.parametrize("learner", LEARNERS)
def test_an_answer_does_not_wait_for_a_refit(held: Held, tmp_path: Path, learner: str) -> None:
    run = opened(tmp_path / "run", learner, checkpoint_seconds=0)
    answered: list[Receipt] = []
    for i in range(40):
        run.accept([sample(i)], told(answered))
    assert [r.status for r in answered] == ["accepted"] * 40
    # What is said of the run counts what was acknowledged.
    assert (run.accepted, run.report()["accepted"], run.report()["labelled"]) == (40, 40, 40)
    assert run.report()["learned"] < 12  # of a refit at 4 and its decision at 8
    assert len(run.backlog) > 28
    assert all(run.known(f"n{i}") for i in range(40))
    assert not run.waited
    held.go.set()
    run.settle()
    assert (run.report()["learned"], len(run.backlog), run.accepted) == (40, 0, 40)
    twin = opened(tmp_path / "twin", learner)
    for i in range(40):
        twin.accept([sample(i)])
    assert learned(run) == learned(twin)
    run.close()
    twin.close()


# Offers of few ids, some of them labels of what came without one.
NAMES = [f"n{i}" for i in range(24)]
Group = list[tuple[int, str | None, bool]]
LABELS = [None, None, "a", "b", "c", "d", "e"]
OFFERS = st.tuples(st.integers(0, len(NAMES) - 1), st.sampled_from(LABELS), st.booleans())
GROUPS = st.lists(st.lists(OFFERS, min_size=1, max_size=4), min_size=6, max_size=12)


def offers_of(group: Group) -> list[Offer]:
    return [
        Offer(id=NAMES[i], label=label, rows=rows(i) if given or label is None else None)
        for i, label, given in group
    ]


@pytest.mark.parametrize("learner", LEARNERS)
@settings(max_examples=4, deadline=None)
@given(
    groups=GROUPS,
    held_from=st.integers(0, 8),
    let_go=st.integers(4, 12),
    killed=st.booleans(),
)
def test_all_is_answered_and_learned_as_if_there_were_no_wait(
    groups: list[Group],
    held_from: int,
    let_go: int,
    killed: bool,
    learner: str,
) -> None:
    """Also what comes back from the disk while samples wait."""
    check_against_one_that_waits(groups, held_from, let_go, killed, learner)


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS)
@settings(max_examples=200, deadline=None)
@given(
    groups=GROUPS,
    held_from=st.integers(0, 8),
    let_go=st.integers(4, 12),
    killed=st.booleans(),
)
def test_many_are_answered_and_learned_as_if_there_were_no_wait(
    groups: list[Group], held_from: int, let_go: int, killed: bool, learner: str
) -> None:
    check_against_one_that_waits(groups, held_from, let_go, killed, learner)


def check_against_one_that_waits(
    groups: list[Group], held_from: int, let_go: int, killed: bool, learner: str
) -> None:
    with tempfile.TemporaryDirectory() as place, ExitStack() as then:
        patch = then.enter_context(pytest.MonkeyPatch.context())
        folder = Path(place)
        twin = opened(folder / "twin", learner, max_classes=4)
        then.callback(twin.close)
        work = Held(fit)
        work.go.set()
        run = opened(folder / "run", learner, max_classes=4, checkpoint_seconds=0)
        then.callback(run.close)
        then.callback(work.go.set)
        for i, group in enumerate(groups):
            if i == held_from:
                work.go.clear()
            if i == let_go:
                work.go.set()
            patch.setattr(refit, "fit", fit)
            expected = what(twin.accept(offers_of(group)))
            patch.setattr(refit, "fit", work)
            answered: list[Receipt] = []
            assert what(run.accept(offers_of(group), told(answered))) == expected
            assert what(answered) == expected
            assert run.accepted == twin.accepted
            for name in NAMES:
                assert run.known(name) == twin.known(name)
                assert run.open_for_label(name) == twin.open_for_label(name)
                assert np.array_equal(run.unlabelled_rows(name), twin.unlabelled_rows(name))
        if killed:
            shutil.copytree(folder / "run", folder / "copy")
            (folder / "copy" / "lock").unlink(missing_ok=True)
            patch.setattr(refit, "fit", fit)
            again = opened(folder / "copy", learner, max_classes=4)
            then.callback(again.close)
            assert learned(again) == learned(twin)
        work.go.set()
        assert learned(run) == learned(twin)


def test_what_waits_has_a_bound(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "MOST", 10 * RECORD)
    run = opened(tmp_path / "run", "replay")
    answered: list[Receipt] = []
    most = [0]

    def offer_all() -> None:
        for i in range(60):
            run.accept([sample(i)], told(answered))
            most[0] = max(most[0], run.backlog.bytes)

    thread = threading.Thread(target=offer_all)
    thread.start()
    until(lambda: run.backlog.bytes > durable.MOST)  # and it waits
    held.go.set()
    thread.join()
    assert most[0] <= durable.MOST
    run.settle()
    assert (len(answered), run.report()["learned"]) == (60, 60)
    run.close()


def test_the_journal_has_its_bound(held: Held, tmp_path: Path) -> None:
    """A checkpoint is waited for before what no checkpoint covers takes all of it."""
    run = opened(tmp_path / "run", "replay", journal_bytes=2**16)
    answered: list[Receipt] = []
    thread = threading.Thread(
        target=lambda: [
            run.accept([sample(i) for i in range(n, n + 20)], told(answered))
            for n in range(0, 900, 20)
        ]
    )
    thread.start()
    until(lambda: len(run.backlog) > 0)
    held.go.set()
    thread.join()
    assert len(answered) == 900
    assert run.journal_bytes <= 2**16
    assert len(run.checkpoints.names()) > 1
    run.close()


def test_a_stream_answers_while_a_refit_is_under_way(held: Held, tmp_path: Path) -> None:
    """Also by label of an image that came while it was; at the end everything is learned."""
    answers: list[str] = []
    count = 40

    def acknowledged(outcome: Any) -> None:
        answers.append(outcome["status"])
        if len(answers) == count:
            held.go.set()

    lines = Lines(count, acknowledged)
    engine = FakeEngine(batch_size=2, size=8, cells=1)
    source = FeatureSource.of_engine(engine, Preprocessing(size=8, resize=8))
    learning = {**SMALL, "learner": "replay", "pool_bytes": 1 << 20}
    report = run_stream(
        settings_for("", tmp_path / "run", learning=learning, keeping={"journal_bytes": 2**28}),
        source=lines,
        feature_source=source,
    )
    assert answers == ["accepted"] * count
    assert (report["accepted"], report["learned"], report["refits"] > 0) == (count, count, True)


class Lines:
    """So many pictures, each with its label."""

    def __init__(self, count: int, reply: Callable[[Any], None]) -> None:
        self._count = count
        self._reply = reply

    def arrivals(self, stop: threading.Event, ledger: Ledger) -> Iterator[Arrival]:
        del stop, ledger
        for i in range(self._count):
            yield Arrival(id=f"n{i}", source=picture(i), label=label_of(i), reply=self._reply)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_label_may_come_with_what_pushes_its_image_out(tmp_path: Path, learner: str) -> None:
    """Of one group: what is admitted is what can be learned."""
    run = opened(tmp_path / "run", learner)
    run.accept([Offer(id="n0", label=None, rows=rows(0))])
    new = [Offer(id=f"n{i}", label=None, rows=rows(i)) for i in range(1, 4)]
    receipts = run.accept([*new, Offer(id="n0", label="a", rows=None)])
    assert [r.status for r in receipts] == ["accepted"] * 3 + ["duplicate"]
    run.close()
    again = opened(tmp_path / "run", learner)
    assert again.report()["expired"] == 1
    again.close()
