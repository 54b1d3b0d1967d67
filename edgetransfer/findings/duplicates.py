"""Photos that show the same picture: scaled, compressed again, mirrored, turned or tinted.

Features find the candidates and pixels decide: a backbone takes two poses of one thing for nearly
the same, while a copy correlates with its original pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgetransfer.findings.neighbours import BLOCK_BYTES, Neighbours
from edgetransfer.findings.parts import Glance, fit_of
from edgetransfer.images.likeness import HEAD, SIDE
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

# Measured on Caltech-101 with 240 copies planted among 3,030 photos: scaled to 0.35 to 2 times,
# compressed at qualities of 15 to 60, mirrored, or all of it at once. Their features are alike by
# 0.65 and more, but for one in 15 of those with all at once; their pixels by 0.998 and more. Of
# Caltech-101's own photos that pass both, each pair that was looked at was the same picture; with
# pixels alike by 0.98 there are also two poses of one thing.
LIKE = 0.6  # the least similarity of features that is looked at
ALIKE = 0.99  # the least correlation of pixels of a copy
STRETCH = 0.05  # by how much a copy may be wider or narrower, as a logarithm
TINT = 0.06  # by how much the mean of a colour may differ, of 0 to 1
ROUGHLY = 0.97  # the least correlation of a sixteenth of the pixels that is looked at
TINTED = 0.995  # the least correlation of a copy whose colours differ by more

# Of 220 photos cut to 60 to 90 %, made square, framed or shown on a screen, features are alike by
# 0.4 and more, and colours fit by 0.96 in 97 %. Pairs of Caltech-101's own photos that do: the same
# drawing in a frame, a part of the same photo.
PART_LIKE = 0.4
PART_NEIGHBOURS = 3  # of each photo, that are looked at
PART_ALIKE = 0.96
WHOLE = 0.97  # of both sides: what fills as much is no part, but a copy or another pose
MOST_FITTED = 20_000  # pairs, the likest


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Pairs of photos that show the same picture.

    Parameters
    ----------
    pairs
        (M, 2) int64, the earlier one first, the likest pairs first.
    likeness
        (M,), the correlation of their pixels, up to 1.
    orientations
        (M,) int64, 0 to 7: by how many quarter turns to the left the second becomes the first, and
        4 more if it is mirrored (left and right exchanged) before.
    parts
        (M,), whether one shows a part of the other alone: cut out, framed, on a screen.
    """

    pairs: IntArray
    likeness: NDArray[np.floating[Any]]
    orientations: IntArray
    parts: NDArray[np.bool_]

    __repr__ = short_repr

    @property
    def mirrored(self) -> NDArray[np.bool_]:
        """(M,), whether one is the other's mirror image."""
        return self.orientations >= 4

    @property
    def quarter_turns(self) -> IntArray:
        """(M,), 0 to 3."""
        return self.orientations % 4


def candidates(neighbours: Neighbours, least: float = LIKE) -> tuple[IntArray, IntArray]:
    """Pairs of neighbours whose features are so similar that they might be copies.

    Returns
    -------
    (M, 2) pairs, each once, in order of their photos; and (M,) the order of their similarity.
    """
    first = np.repeat(np.arange(len(neighbours.indices)), neighbours.indices.shape[1])
    second = neighbours.indices.ravel()
    similarities = neighbours.similarities.ravel()
    near = similarities >= least
    pairs = np.stack([first[near], second[near]], axis=1)
    pairs.sort(axis=1)
    pairs, places = np.unique(pairs, axis=0, return_index=True)
    return pairs, np.argsort(-similarities[near][places], kind="stable")


def part_candidates(neighbours: Neighbours) -> IntArray:
    """Pairs of near neighbours, (M, 2), the likest first: one might be a part of the other."""
    near = Neighbours(
        indices=neighbours.indices[:, :PART_NEIGHBOURS],
        similarities=neighbours.similarities[:, :PART_NEIGHBOURS],
    )
    pairs, likest = candidates(near, least=PART_LIKE)
    likest_first: IntArray = pairs[likest]
    return likest_first


def pixel_candidates(likenesses: Mapping[int, Float32Array], k: int) -> IntArray:
    """Pairs that agree in a few pixels in any of eight orientations, (M, 2), each once.

    A backbone may take a picture that is upside down for another one: these are found by their
    pixels alone. Of each photo and orientation ``k`` are looked at, block by block.

    Parameters
    ----------
    likenesses
        Of each photo by place, as `edgetransfer.images.likeness_of` makes them.
    """
    places = np.array(sorted(likenesses), np.int64)
    if len(places) < 2:
        return np.zeros((0, 2), np.int64)
    squares = np.stack([likenesses[place][HEAD:].reshape(SIDE, SIDE) for place in places])
    few = squares.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    lengths = np.linalg.norm(few, axis=(1, 2), keepdims=True)
    few = few / np.where(lengths > 0, lengths, 1)
    rows = few.reshape(len(few), -1)
    k = min(k, len(few) - 1)
    step = max(1, BLOCK_BYTES // (4 * len(rows)))
    found = [np.zeros((0, 2), np.int64)]
    for orientation in range(8):
        turned = few[:, :, ::-1] if orientation >= 4 else few
        turned = np.rot90(turned, orientation % 4, axes=(1, 2)).reshape(len(few), -1)
        for start in range(0, len(rows), step):
            values = rows[start : start + step] @ turned.T
            here = np.arange(len(values))
            values[here, start + here] = -1
            best = np.argpartition(values, len(rows) - k, axis=1)[:, len(rows) - k :]
            first, at = np.nonzero(np.take_along_axis(values, best, axis=1) >= ROUGHLY)
            found.append(np.stack([start + first, best[first, at]], axis=1))
    pairs: IntArray = places[np.concatenate(found)]
    pairs.sort(axis=1)
    once: IntArray = np.unique(pairs, axis=0)
    return once


def copies_among(
    pairs: IntArray, likenesses: Mapping[int, Float32Array], alike: float = ALIKE
) -> Duplicates:
    """Which of (M, 2) pairs show the same picture.

    Parameters
    ----------
    likenesses
        Of each photo by place, as `edgetransfer.images.likeness_of` makes them; a pair of which
        one is missing is passed over.
    """
    known = [p for p in pairs.tolist() if p[0] in likenesses and p[1] in likenesses]
    pairs = np.array(known, np.int64).reshape(-1, 2)
    values = np.zeros(len(pairs))
    orientations = np.zeros(len(pairs), np.int64)
    for place, (first, second) in enumerate(pairs.tolist()):
        values[place], orientations[place] = _correlation(likenesses[first], likenesses[second])
    same = np.flatnonzero(values >= alike)
    order = same[np.lexsort((same, -values[same]))]
    return Duplicates(
        pairs=pairs[order],
        likeness=values[order],
        orientations=orientations[order],
        parts=np.zeros(len(order), bool),
    )


def with_parts(
    copies: Duplicates,
    pairs: IntArray,
    pictures: Mapping[int, Image.Image],
    progress: Progress = no_progress,
) -> Duplicates:
    """Copies, and which others of (M, 2) pairs, in order, show a part of one another.

    Parameters
    ----------
    pictures
        Of each photo by place, small ones, as `edgetransfer.images.look_at` makes them.
    """
    glance = lru_cache(maxsize=512)(lambda place: Glance(pictures[place]))
    known = {tuple(pair) for pair in copies.pairs.tolist()}
    found = []
    for done, (first, second) in enumerate(pairs.tolist()):
        progress("comparing parts", done + 1, len(pairs))
        if (first, second) in known or not {first, second} <= pictures.keys():
            continue
        fit = fit_of(glance(first), glance(second))
        if fit is None or fit.likeness < PART_ALIKE or min(fit.width, fit.height) >= WHOLE:
            continue
        found.append((first, second, fit.likeness, 4 * fit.mirrored))
    found.sort(key=lambda one: -one[2])
    parts = np.array([one[:2] for one in found], np.int64).reshape(-1, 2)
    return Duplicates(
        pairs=np.concatenate([copies.pairs, parts]),
        likeness=np.concatenate([copies.likeness, [one[2] for one in found]]),
        orientations=np.concatenate(
            [copies.orientations, np.array([one[3] for one in found], np.int64)]
        ),
        parts=np.concatenate([copies.parts, np.ones(len(found), bool)]),
    )


def _correlation(first: Float32Array, second: Float32Array) -> tuple[float, int]:
    """The highest correlation of two likenesses in eight orientations, and which one it is."""
    square = second[HEAD:].reshape(SIDE, SIDE)
    best, orientation = 0.0, 0
    for mirrored in (0, 4):
        for turns in range(4):
            ratio = -second[0] if turns % 2 else second[0]
            if abs(first[0] - ratio) > STRETCH:
                continue
            shown = np.rot90(square[:, ::-1] if mirrored else square, turns)
            value = float(first[HEAD:] @ shown.ravel())
            if value > best:
                best, orientation = value, mirrored + turns
    tint = float(np.abs(first[1:HEAD] - second[1:HEAD]).max())
    return (0.0, 0) if tint > TINT and best < TINTED else (best, orientation)


def grouped(pairs: IntArray) -> list[list[int]]:
    """The photos of pairs, in groups of all that are joined; groups and members in order."""
    group: dict[int, list[int]] = {}
    for first, second in pairs.tolist():
        one, other = group.setdefault(first, [first]), group.setdefault(second, [second])
        if one is not other:
            one += other
            group.update(dict.fromkeys(other, one))
    return sorted(sorted(members) for members in {id(m): m for m in group.values()}.values())
