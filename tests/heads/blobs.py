"""Seeded Gaussian blobs: three classes, five dimensions, far apart."""

import numpy as np


def blobs(seed, n=300, spread=0.5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    centres = np.array([[2, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 2, 0, 0]])
    features = centres[labels] + spread * rng.normal(size=(n, 5))
    return features.astype(np.float32), labels.astype(np.int64)
