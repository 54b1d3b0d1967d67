"""The randomness of a stream's learner."""

from __future__ import annotations

import numpy as np


def batch_randomness(seed: int, batch: int, purpose: int = 0) -> np.random.Generator:
    """A function of (seed, batch, purpose) alone, so that nothing of it needs to be saved."""
    return np.random.Generator(np.random.Philox(key=[seed, 1 + purpose], counter=[0, 0, 0, batch]))
