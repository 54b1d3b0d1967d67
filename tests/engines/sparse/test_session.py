"""Sessions of the native library: threads, batches, several at a time, malformed plans."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edgetransfer.engines.sparse.library import Session
from edgetransfer.engines.sparse.lowering import lower
from edgetransfer.engines.sparse.plan import Plan
from edgetransfer.errors import EngineError
from edgetransfer.native.compiling import why_absent
from tests.engines.sparse.plans import forced, open_plan, run_plan, run_session
from tests.graphs_made import noise, tiny

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


@pytest.fixture
def plan() -> Plan:
    return lower(tiny(batch=1, sparsity=0.5).model)


def test_the_number_of_threads_and_the_batch_change_no_bit(plan: Plan) -> None:
    images = noise(70, 3, 16, 16)
    expected = run_plan(plan, images)
    for threads in (2, 3, 5):
        session = open_plan(plan, threads=threads)
        for n in (*range(1, 18), 20, 33, 64, 70):
            np.testing.assert_array_equal(run_session(session, plan, images[:n]), expected[:n])
        session.close()


def test_an_empty_batch(plan: Plan) -> None:
    assert run_plan(plan, noise(0, 3, 16, 16)).shape == (0, 5, 1, 1)


def test_several_sessions_run_at_a_time(plan: Plan) -> None:
    images = noise(33, 3, 16, 16)
    expected = run_plan(plan, images)
    found: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        session = open_plan(plan, threads=2)
        for _ in range(20):
            found[index] = run_session(session, plan, images)
        session.close()

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    for features in found.values():
        np.testing.assert_array_equal(features, expected)


def test_a_closed_session_refuses_to_run(plan: Plan) -> None:
    session = open_plan(plan)
    session.close()
    session.close()
    with pytest.raises(ValueError, match="closed"):
        run_session(session, plan, noise(1, 3, 16, 16))


def test_a_session_tells_how_each_operator_runs(plan: Plan) -> None:
    with forced("portable"):
        session = open_plan(plan)
    records = session.describe()
    assert [r.form for r in records if r.weights] == ["rows"] * 4
    for operator, record in zip(plan.operators, records, strict=True):
        if operator.weights is not None:
            assert record.weights == np.count_nonzero(operator.weights)
    assert not session.profile(on=True).any()
    run_session(session, plan, noise(16, 3, 16, 16))
    seconds = session.profile(on=False)
    assert (seconds > 0).all()
    assert session.memory > 16 * 3 * 16 * 16 * 4


@pytest.mark.parametrize("isa", ["avx512", "portable"])
@pytest.mark.parametrize("seed", range(150))
def test_a_malformed_plan_is_refused_or_runs(plan: Plan, isa: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words, numbers = plan.serialise()
    words, numbers = words.copy(), numbers.copy()
    for _ in range(rng.integers(1, 4)):
        match rng.integers(4):
            case 0:
                words[rng.integers(len(words))] = rng.integers(-2, 70)
            case 1:
                words[rng.integers(len(words))] += rng.integers(-2, 3)
            case 2:
                words[rng.integers(len(words))] = rng.integers(-(1 << 62), 1 << 62)
            case 3:
                words = words[: rng.integers(len(words) // 2, len(words) + 1)].copy()
    with forced(isa):
        try:
            session = Session(words, numbers, operators=len(plan.operators), threads=2)
        except EngineError as error:
            assert "cannot open this backbone" in str(error)  # noqa: PT017
            return
    # As large as any that such damage leaves.
    if list(words[3:6]) == [3, 16, 16]:
        shape = _output_shape(words)
        if shape is not None and np.prod(shape) < 1 << 20:
            out = np.zeros((17, *shape), np.float32)
            session.run(noise(17, 3, 16, 16), out)
    session.close()


def _output_shape(words: np.ndarray) -> tuple[int, ...] | None:
    """The output's shape as a damaged plan has it, if its input is still the first tensor."""
    count = int(words[2])
    source, output = words[3 + 3 * count], words[4 + 3 * count]
    if source != 0:
        return None
    return tuple(int(i) for i in words[3 + 3 * output : 6 + 3 * output])
