"""Predictions for samples that are seen in several views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.heads import LinearHead
from edgetransfer.stream.learning.offers import Offer
from edgetransfer.types import Float32Array, IntArray


def predict_views(head: LinearHead, rows: Float32Array, views: NDArray[Any]) -> IntArray:
    """Class of each sample, (n,) int64, from the mean over its views; -1 if there is no class.

    ``views``, (n,), says how many of the (N, D) rows belong to each sample, one at least.
    """
    if not head.classes:
        return np.full(len(views), -1, np.int64)
    best: IntArray = mean_views(head, rows, views).argmax(axis=1).astype(np.int64)
    return best


def mean_views(head: LinearHead, rows: Float32Array, views: NDArray[Any]) -> Float32Array:
    """(n, K) probabilities of samples: the mean over the views of each."""
    probabilities = head.predict_proba(rows)
    sums = np.add.reduceat(probabilities, np.cumsum(views) - views, axis=0)
    mean: Float32Array = (sums / views[:, None]).astype(np.float32)
    return mean


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a sample is taken for.

    Parameters
    ----------
    name, probability
        The most probable class, and how probable it is, 0 to 1; None without rows, or without
        classes.
    unknown
        Whether it probably shows none of the classes; None where the head cannot tell.
    """

    name: str | None = None
    probability: float | None = None
    unknown: bool | None = None


def predict_offers(head: LinearHead, offers: Sequence[Offer]) -> list[Guess]:
    """What each offer is taken for."""
    result = [Guess()] * len(offers)
    given = [(i, offer.rows) for i, offer in enumerate(offers) if offer.rows is not None]
    if head.classes and given:
        views = np.array([len(rows) for _, rows in given])
        rows = np.concatenate([rows for _, rows in given])
        for (i, _), each in zip(given, mean_views(head, rows, views), strict=True):
            best = int(each.argmax())
            result[i] = Guess(name=head.classes[best], probability=float(each[best]))
    return result
