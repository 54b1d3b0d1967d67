"""Choosing some samples of each class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from edgetransfer.types import Float32Array, IntArray


def stratified_holdout(
    labels: IntArray, fraction: float, seed: int, copies: Sequence[Sequence[int]] = ()
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """A mask, (N,) bool, of about ``fraction`` of each class, chosen by the seed.

    A class of two or more gives at least one sample and keeps at least one; a class of one keeps
    it.

    Parameters
    ----------
    copies
        Groups of samples, by place and in order, that are copies of one another: they stay
        together, for a copy of what was learned tests nothing. Copies that stand in several
        classes are not held out.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    leads = np.ones(len(labels), bool)  # the first of each group, and who is in none
    bound = np.zeros(len(labels), bool)
    group_of: dict[int, Sequence[int]] = {}
    for group in copies:
        leads[list(group[1:])] = False
        bound[list(group)] = len(np.unique(labels[list(group)])) > 1
        group_of[group[0]] = group
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        order = rng.permutation(members[leads[members] & ~bound[members]])
        taken = 0
        for first in order if bound[members].any() else order[:-1]:
            if taken >= count:
                break
            group = group_of.get(int(first), (int(first),))
            held[list(group)] = True
            taken += len(group)
    return held


def equal_rows(rows: Float32Array) -> list[list[int]]:
    """The places of (N, D) rows that are equal bit for bit, in groups of two and more.

    Copies of a photo have equal features.
    """
    places: dict[bytes, list[int]] = {}
    for place, row in enumerate(np.ascontiguousarray(rows)):
        places.setdefault(hashlib.blake2b(row.data, digest_size=16).digest(), []).append(place)
    return [group for group in places.values() if len(group) > 1]
