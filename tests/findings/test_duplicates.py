"""Copies of all kinds are found, and pictures that differ are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgetransfer.findings import (
    candidates,
    copies_among,
    grouped,
    nearest,
    pixel_candidates,
)
from edgetransfer.images import likeness_of
from tests.findings.pictures import COPIES, ORIENTATIONS, jpeg, picture, png

SIZES = ((180, 120), (97, 131), (333, 250), (64, 64), (500, 334))


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("size", SIZES)
def test_a_copy_is_found(kind, size):
    original = picture(1, *size)
    likenesses = {0: likeness_of(png(original)), 1: likeness_of(COPIES[kind](original))}
    found = copies_among(np.array([[0, 1]]), likenesses)
    assert found.pairs.tolist() == [[0, 1]], found.likeness
    told = bool(found.mirrored[0]), int(found.quarter_turns[0])
    assert told == ORIENTATIONS.get(kind, (False, 0))


def test_pictures_that_differ_are_not():
    likenesses = {seed: likeness_of(jpeg(picture(seed))) for seed in range(30)}
    pairs = np.array([[i, j] for i in range(30) for j in range(i + 1, 30)])
    assert not len(copies_among(pairs, likenesses).pairs)


def plain(colour, size=(60, 40)):
    return png(Image.new("RGB", size, colour))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (plain("red"), plain("red")),  # nothing to compare
        (plain("red"), plain("blue")),
        (png(picture(3)), png(picture(3).resize((120, 180)))),  # another shape
        (png(picture(3)), png(Image.merge("RGB", picture(3).split()[::-1]))),  # other colours
        (png(picture(3)), png(picture(3).crop((30, 20, 150, 100)))),  # a part of it
    ],
)
def test_what_is_no_copy(one, other):
    likenesses = {0: likeness_of(one), 1: likeness_of(other)}
    assert not len(copies_among(np.array([[0, 1]]), likenesses).pairs)


def test_a_photo_that_is_gone_is_passed_over():
    likenesses = {0: likeness_of(png(picture(1)))}
    assert not len(copies_among(np.array([[0, 1]]), likenesses).pairs)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_groups_are_what_is_joined(pairs):
    pairs = [(a, b) for a, b in pairs if a != b]
    groups = grouped(np.array(pairs, np.int64).reshape(-1, 2))
    home = {member: place for place, group in enumerate(groups) for member in group}
    assert len(home) == sum(map(len, groups)) == len({m for pair in pairs for m in pair})
    assert all(home[a] == home[b] for a, b in pairs)
    # No smaller groups would do: within one, everything can be reached.
    for group in groups:
        reached, edge = {group[0]}, {group[0]}
        while edge:
            edge = {m for p in pairs if edge & set(p) for m in p} - reached
            reached |= edge
        assert reached == set(group)


def test_pixels_name_copies_that_no_features_name():
    originals = [png(picture(seed, *SIZES[seed % 3])) for seed in range(20)]
    kinds = sorted(COPIES)
    copies = [COPIES[kind](picture(i, *SIZES[i % 3])) for i, kind in enumerate(kinds)]
    likenesses = {i: likeness_of(source) for i, source in enumerate([*originals, *copies])}
    likenesses[99] = likeness_of(plain("red"))
    pairs = pixel_candidates(likenesses, 6)
    expected = {(i, 20 + i) for i in range(len(kinds))}
    assert {tuple(pair) for pair in pairs.tolist()} == expected
    assert len(pixel_candidates({5: likenesses[0]}, 6)) == 0
    assert pixel_candidates({5: likenesses[0], 8: likenesses[20]}, 6).tolist() == [[5, 8]]


def test_candidates_are_each_pair_once():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 5)).astype(np.float32)
    pairs, likest = candidates(nearest(features, 6), least=0.3)
    assert len({tuple(p) for p in pairs.tolist()}) == len(pairs)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    rows = features - features.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    alike = (rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(axis=1)
    assert (alike > 0.29).all()
    assert (np.diff(alike[likest]) <= 1e-6).all()
