"""Exact search, however the rows are parted."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.findings.most_alike import MostAlike


@given(
    st.integers(0, 40),
    st.integers(1, 5),
    st.integers(1, 6),
    st.lists(st.integers(0, 40), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_it_is_what_sorting_all_gives(n, dimension, top, cuts, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 2, (n, dimension)).astype(np.float32)  # many are equally alike
    queries = rng.normal(size=(3, dimension)).astype(np.float32)
    best = MostAlike(queries, top)
    ends = sorted({0, n, *(min(cut, n) for cut in cuts)})
    for first, last in itertools.pairwise(ends):
        best.add(rows[first:last], list(range(first, last)))
    for query, found in zip(queries.astype(np.float64), best.found, strict=True):
        length = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
        cosines = np.divide(rows @ query, length, out=np.zeros(n), where=length > 0)
        assert len(found) == min(top, n)
        assert np.allclose(
            [one.similarity for one in found], np.sort(-cosines)[:top] * -1, atol=1e-5
        )
        assert np.allclose(
            [cosines[one.name] for one in found], [one.similarity for one in found], atol=1e-5
        )


def test_a_row_that_is_not_finite_is_like_none():
    rows = np.array([[np.nan, 1], [np.inf, 0], [1, 0]], np.float32)
    best = MostAlike(np.array([[1, 0]], np.float32), 5)
    best.add(rows, ["a", "b", "c"])
    assert [one.name for one in best.found[0]] == ["c"]


def test_of_equals_the_earlier_comes_first():
    best = MostAlike(np.array([[1, 0]], np.float32), 2)
    best.add(np.array([[2, 0], [1, 1]], np.float32), ["a", "b"])
    best.add(np.array([[3, 0], [4, 0]], np.float32), ["c", "d"])
    assert [one.name for one in best.found[0]] == ["a", "c"]
