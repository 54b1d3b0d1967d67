"""How alike answers are, by hand and by what must hold of any."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.metrics.agreement import agreement


def test_by_hand() -> None:
    first = np.log(np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]]))
    second = np.log(np.array([[0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.1, 0.6, 0.3]]))
    # Right and right; wrong and wrong, of two classes; wrong and wrong, of one; right and right.
    labels = np.array([0, 2, 0, 1])
    found = agreement(first.astype(np.float32), second.astype(np.float32), labels)
    assert (found.count, found.agreed, found.both_wrong, found.same_mistake) == (4, 3, 2, 1)
    terms = [
        0.5 * log(0.6) + 0.5 * log(0.2),
        0.8 * log(0.1) + 0.1 * log(0.8) + 0.1 * log(0.1),
        0.2 * log(0.2) + 0.2 * log(0.1) + 0.6 * log(0.7),
        0.1 * log(0.1) + 0.8 * log(0.6) + 0.1 * log(0.3),
    ]
    assert found.cross_entropy == pytest.approx(-sum(terms) / 4, rel=1e-6)
    assert found.share == 0.75
    low, high = found.interval
    assert low < 0.75 < high


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    photos=st.integers(1, 30),
    classes=st.integers(2, 8),
    scale=st.sampled_from([0.0, 1.0, 300.0]),
)
def test_whatever_is_answered(seed: int, photos: int, classes: int, scale: float) -> None:
    """Gibbs: nothing surprises less than the truth; and a shift of logits says nothing."""
    rng = np.random.default_rng(seed)
    first, second = (rng.normal(0, scale, (2, photos, classes))).astype(np.float32)
    labels = rng.integers(0, classes, photos)
    found = agreement(first, second, labels)
    assert np.isfinite(found.cross_entropy)
    assert found.cross_entropy >= found.entropy - 1e-6
    assert 0 <= found.same_mistake <= found.both_wrong <= photos
    alone = agreement(first, first + np.float32(5), labels)
    assert alone.agreed == photos or scale == 0
    assert alone.cross_entropy == pytest.approx(alone.entropy, abs=1e-4 * max(scale, 1))
