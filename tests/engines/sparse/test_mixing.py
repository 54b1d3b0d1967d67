"""Operators without weights that mix tensors, pixels or channels: in float64, and hostile plans."""

from __future__ import annotations

import numpy as np
import pytest

from edgetransfer.engines.sparse.library import Session
from edgetransfer.engines.sparse.plan import Combination, Kind, Mixing, Operator, Plan
from edgetransfer.errors import EngineError
from edgetransfer.native.compiling import why_absent
from tests.engines.sparse.plans import INSTRUCTION_SETS, forced, run_plan

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

CHANNELS, ROWS, COLUMNS = 6, 4, 5


def axis(*triples: tuple[int, int, int]) -> np.ndarray:
    return np.array(triples, np.int64).reshape(-1, 3)


def everything() -> Plan:
    """Self-attention over the pixels of an image, normalised, and every other kind behind it."""
    plan = Plan()
    plan.input = plan.tensor((CHANNELS, ROWS, COLUMNS))
    shape, count = (CHANNELS, ROWS, COLUMNS), ROWS * COLUMNS
    normal, tokens = plan.tensor(shape), plan.tensor((CHANNELS, 1, count))
    scores, shares = (plan.tensor((2 * count, 1, count)) for _ in range(2))
    mixed, gate, gated = (plan.tensor((CHANNELS, 1, n)) for n in (count, 1, count))
    turned, larger = plan.tensor((count, 1, CHANNELS)), plan.tensor((count, 3, 7))
    plan.output = plan.tensor((count, 3, 7))
    add = plan.add
    add(Operator(
        kind=Kind.NORMALISE, source=plan.input, out=normal, groups=3, low=1e-3,
        weights=np.arange(1.0, 7), bias=np.ones(6), mixing=Mixing(over_pixels=True),
    ))  # fmt: skip
    flat = axis(*((0, i // COLUMNS, i % COLUMNS) for i in range(count)))
    channels = axis(*((i, 0, 0) for i in range(CHANNELS)))
    add(Operator(
        kind=Kind.MOVE, source=normal, out=tokens,
        mixing=Mixing(places=(channels, axis((0, 0, 0)), flat)),
    ))  # fmt: skip
    add(Operator(kind=Kind.PRODUCT, source=tokens, second=tokens, out=scores, groups=2))
    add(Operator(kind=Kind.SOFTMAX, source=scores, out=shares, groups=2))
    add(Operator(
        kind=Kind.PRODUCT, source=shares, second=tokens, out=mixed, groups=2,
        mixing=Mixing(over_columns=True),
    ))  # fmt: skip
    add(Operator(kind=Kind.CONSTANT, source=0, out=gate, weights=np.linspace(-1, 1, CHANNELS)))
    add(Operator(
        kind=Kind.COMBINE, source=gate, second=mixed, out=gated,
        mixing=Mixing(combination=Combination.MULTIPLY),
    ))  # fmt: skip
    columns = axis(*((i, 0, 0) for i in range(CHANNELS)))
    pixels = axis(*((0, 0, i) for i in range(count)))
    add(Operator(
        kind=Kind.MOVE, source=gated, out=turned,
        mixing=Mixing(places=(pixels, axis((0, 0, 0)), columns)),
    ))  # fmt: skip
    rows = (np.zeros((3, 2), np.int64), np.zeros(3))
    between = (np.array([[i % 5, i % 5 + 1] for i in range(7)]), np.linspace(0, 1, 7))
    add(Operator(
        kind=Kind.RESAMPLE, source=turned, out=larger, mixing=Mixing(between=(rows, between))
    ))  # fmt: skip
    add(Operator(
        kind=Kind.NORMALISE, source=larger, out=plan.output, groups=4, low=1e-2,
        weights=np.ones(count), bias=np.zeros(count), mixing=Mixing(centred=False),
    ))  # fmt: skip
    return plan


def expected(x: np.ndarray) -> np.ndarray:
    n, count = len(x), ROWS * COLUMNS
    groups = x.astype(np.float64).reshape(n, 3, -1)
    groups = groups - groups.mean(2, keepdims=True)
    groups /= np.sqrt((groups**2).mean(2, keepdims=True) + 1e-3)
    scale = np.arange(1.0, 7)[:, None]
    tokens = (groups.reshape(n, CHANNELS, count) * scale + 1).reshape(n, 2, 3, count)
    scores = np.einsum("ngcq,ngck->ngqk", tokens, tokens)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    mixed = np.einsum("ngqk,ngck->ngcq", shares, tokens).reshape(n, CHANNELS, count)
    turned = (mixed * np.linspace(-1, 1, CHANNELS)[:, None]).transpose(0, 2, 1)
    first, share = np.arange(7) % 5, np.linspace(0, 1, 7)
    between = turned[..., first] * (1 - share) + turned[..., first + 1] * share
    larger = np.repeat(between[:, :, None], 3, 2).reshape(n, 4, 5, 3, 7)
    larger /= np.sqrt((larger**2).mean(2, keepdims=True) + 1e-2)
    return larger.reshape(n, count, 3, 7)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("batch", [1, 3, 17])
def test_every_kind_that_mixes(isa: str, batch: int) -> None:
    x = np.random.default_rng(batch).normal(size=(batch, CHANNELS, ROWS, COLUMNS))
    with forced(isa):
        got = run_plan(everything(), x.astype(np.float32), threads=1 + batch % 2)
    np.testing.assert_allclose(got, expected(x.astype(np.float32)), rtol=0, atol=5e-5)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_however_images_fill_the_lanes_the_bits_are_the_same(isa: str) -> None:
    x = np.random.default_rng(0).normal(size=(16, CHANNELS, ROWS, COLUMNS)).astype(np.float32)
    with forced(isa):
        whole = run_plan(everything(), x)
        for n in range(1, 16):
            np.testing.assert_array_equal(run_plan(everything(), x[:n], threads=2), whole[:n])


@pytest.mark.parametrize("side", [1, 2, 5, 13])
def test_any_part_of_an_image_of_any_size(side: int) -> None:
    """However few images there are, and however they are cut into tiles."""
    x = np.random.default_rng(0).normal(size=(4, 2, side, side + 3)).astype(np.float32)
    for first in {0, 1 % side, side // 2}:
        for last in range(first + 1, side + 1):
            plan = Plan()
            plan.input, copied = plan.tensor(x.shape[1:]), plan.tensor(x.shape[1:])
            plan.output = plan.tensor((2, last - first, last - first))
            plan.add(Operator(
                kind=Kind.CONVOLUTION, source=plan.input, out=copied, bias=np.zeros(2),
                weights=np.eye(2).reshape(2, 2, 1, 1),
            ))  # fmt: skip
            kept = range(first, last)
            places = (
                axis((1, 0, 0), (0, 0, 0)) if last % 2 else axis((0, 0, 0), (1, 0, 0)),
                axis(*((0, i, 0) for i in kept)),
                axis(*((0, 0, i + 3) for i in kept))
                if first % 2
                else axis(*((0, 0, i) for i in kept)),
            )
            plan.add(Operator(
                kind=Kind.MOVE, source=copied, out=plan.output, mixing=Mixing(places=places)
            ))  # fmt: skip
            columns = [column for _, _, column in places[2]]
            wanted = x[:, [c for c, _, _ in places[0]], first:last][..., columns]
            for n in (1, 3, 4):
                np.testing.assert_array_equal(run_plan(plan, x[:n]), wanted[:n])


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_plan_is_refused_or_runs_within_its_memory(seed: int) -> None:
    """One word of the plan is another one: what opens must also run (sanitizers look on)."""
    rng = np.random.default_rng(seed)
    plan = everything()
    words, numbers = plan.serialise()
    x = rng.normal(size=(3, CHANNELS, ROWS, COLUMNS)).astype(np.float32)
    for _ in range(20):
        damaged = words.copy()
        at = int(rng.integers(len(words)))
        damaged[at] = rng.choice([-1, 0, 1, 2, 7, 19, 21, 64, 2**31, -(2**62), words[at] + 1])
        try:
            session = Session(damaged, numbers, operators=len(plan.operators), threads=1)
        except EngineError:
            continue
        # As large as the largest tensor, whatever the output is now.
        session.run(np.resize(x, (3, 4096)), np.empty((3, 65536), np.float32))
        session.close()


@pytest.mark.parametrize(("place", "value"), [(0, CHANNELS), (1, ROWS), (2, COLUMNS), (2, -1)])
def test_a_move_from_outside_is_refused(place: int, value: int) -> None:
    plan = everything()
    words, numbers = plan.serialise()
    moved = next(o for o in plan.operators if o.kind is Kind.MOVE)
    assert moved.mixing is not None
    assert moved.mixing.places is not None
    moved.mixing.places[0][0][place] = value
    words, numbers = plan.serialise()
    with pytest.raises(EngineError, match=r"a place is|outside of its tensor"):
        Session(words, numbers, operators=len(plan.operators), threads=1)
