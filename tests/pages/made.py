"""Examinations of photos that are made, for pages about them."""

from __future__ import annotations

import functools

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.findings import Scored, examined
from tests.findings.pictures import jpeg, picture


@functools.cache
def small_picture(seed):
    return jpeg(picture(seed, 60, 40))


def made(names, classes, *, n_test=0, seed=0, pictures=20, source=None):
    """An examination of photos called so, with mistakes in it."""
    rng = np.random.default_rng(seed)
    n, k = len(names), len(classes)
    labels = np.arange(n) % k
    features = rng.normal(size=(k, 8))[labels] * 3 + rng.normal(size=(n, 8))
    probabilities = rng.dirichlet(np.ones(k), n) + 1.5 * np.eye(k)[labels] * rng.random((n, 1))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    samples = [
        Sample(
            id=name,
            source=small_picture(i % pictures) if source is None else source,
            label=int(labels[i]),
        )
        for i, name in enumerate(names)
    ]
    cut = n - n_test
    parts = [
        Scored(
            split=split,
            samples=tuple(samples[where]),
            features=features[where].astype(np.float32),
            probabilities=probabilities[where],
            known=np.ones(len(samples[where]), bool),
            tested=np.ones(len(samples[where]), bool),
            method=method,
        )
        for split, where, method in (
            ("train", slice(0, cut), "leave-one-out"),
            ("test", slice(cut, n), "test photos"),
        )
        if len(samples[where])
    ]
    return examined(parts, tuple(classes))
