"""Samples that are the same to a head: none of them may vouch for another.

A photo that is there twice stands on both sides of a test, and so does one that was scaled or
compressed again. The first are equal to the bit; the others are far nearer to each other than
photos of a class are.
"""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.loss import FloatArray
from edgetransfer.types import Float32Array, IntArray

# Of the middle squared distance of a class. Of 240 copies among Caltech-101's photos, scaled,
# compressed again or mirrored, those that are nearer than this are the ones that a test profits
# by; of 64 pixels of handwritten digits, where nearness says less, 3 % are.
NEAR = 0.1
ENOUGH = 4  # samples of a class, below which the middle distance says nothing
# Least share of the middle that the lower quartile of distances is, as along nine even directions
# and more: along fewer, samples that have nothing to do with each other come as near as copies.
EVEN = 0.7
AT_ONCE = 1024  # samples of a class that are compared with each other


def first_alike(features: Float32Array, labels: IntArray) -> IntArray:
    """(N,), the index of the first row that is equal or near to each and has the same label.

    Of a class of many thousands those are compared that lie next to each other along its longest
    axis.
    """
    first = first_equal(features, labels)
    distinct = np.unique(first)
    order = distinct[np.argsort(labels[distinct], kind="stable")]
    borders = np.flatnonzero(np.diff(labels[order])) + 1
    for members in np.split(order, borders):
        if len(members) < ENOUGH:
            continue
        rows = features[members] - features[members].mean(axis=0)
        if len(members) > AT_ONCE:
            farthest = rows[np.einsum("ij,ij->i", rows, rows).argmax()]
            along = np.argsort(rows @ farthest, kind="stable")
            members, rows = members[along], rows[along]
        for begin in range(0, len(members), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            _join(rows[part], members[part], first)
    while (then := first[first]).tolist() != first.tolist():
        first = then
    return first


def _join(rows: Float32Array, members: IntArray, first: IntArray) -> None:
    """Let the rows near to an earlier one stand for it, in ``first``; rows are one class's."""
    if len(rows) < ENOUGH:
        return
    products: FloatArray = rows @ rows.T
    squares = products.diagonal()
    distances = squares[:, None] + squares - 2 * products
    apart = distances[np.triu_indices(len(rows), 1)]
    quarter, middle = np.quantile(apart, [0.25, 0.5])
    if quarter < EVEN * middle:
        return
    one, other = np.nonzero(np.triu(distances < NEAR * middle, 1))
    pairs = np.sort(np.stack([members[one], members[other]]), axis=0)
    np.minimum.at(first, pairs[1], pairs[0])


def first_equal(features: Float32Array, labels: IntArray) -> IntArray:
    """(N,), the index of the first row that is equal to each and has the same label."""
    first: IntArray = np.arange(len(labels))
    # Equal rows have equal sums of their bits; of those that have, all bits are compared.
    sums = np.ascontiguousarray(features).view(np.uint32).sum(axis=1, dtype=np.uint64)
    order = np.lexsort((sums, labels))
    same = (np.diff(sums[order]) == 0) & (np.diff(labels[order]) == 0)
    for group in np.split(order, np.flatnonzero(~same) + 1):
        if len(group) > 1:
            seen: dict[bytes, int] = {}
            for index in group.tolist():
                first[index] = seen.setdefault(features[index].tobytes(), index)
    return first
