"""A picture is found in another one, wherever it lies and whatever its size; others are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from edgetransfer.data import Sample
from edgetransfer.findings import examined, unseen
from edgetransfer.findings.parts import Glance, fit_of
from edgetransfer.images import look_at
from tests.findings.pictures import cut, jpeg, on_a_page, picture, png, scaled

share = st.floats(0, 1)


def detailed(seed, width=240, height=160):
    """Structure at several sizes, so that a part of it has some too."""
    rng = np.random.default_rng(seed)
    layers = []
    for cells, weight in ((3, 1.0), (7, 0.8), (15, 0.5)):
        small = rng.integers(0, 256, (cells, cells, 3), np.uint8)
        layer = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        layers.append(weight * (np.asarray(layer, np.float32) - 128))
    return Image.fromarray(np.clip(128 + sum(layers) / 1.4, 0, 255).astype(np.uint8))


def fit(one, other):
    return fit_of(Glance(look_at(one).small), Glance(look_at(other).small))


@settings(max_examples=10)
@given(st.integers(0, 50), st.floats(0.55, 0.95), share, share, st.booleans(), st.booleans())
def test_what_is_cut_out_is_found_where_it_was(seed, keep, x, y, mirrored, swapped):
    whole = detailed(seed)
    part = scaled(cut(whole, keep, x, y), 0.8)
    pair = [jpeg(whole), jpeg(ImageOps.mirror(part) if mirrored else part, 70)]
    found = fit(*pair[::-1] if swapped else pair)
    assert found is not None
    assert found.likeness > 0.96
    assert found.mirrored == mirrored
    place = found.x, found.y, found.width, found.height
    assert place == pytest.approx(((1 - keep) * x, (1 - keep) * y, keep, keep), abs=0.03)


@settings(max_examples=10)
@given(st.integers(0, 50), st.floats(1, 1.6), st.floats(1.15, 2), share, share)
def test_what_is_framed_or_on_a_screen_is_found(seed, width, height, x, y):
    page = on_a_page(detailed(seed), width, height, x, y, (240, 240, 245))
    found = fit(jpeg(detailed(seed)), jpeg(page))
    assert found is not None
    # A bar at the top may cover some of it.
    assert found.likeness > 0.9
    assert found.width == pytest.approx(1 / width, abs=0.06)


def test_pictures_that_differ_do_not_lie_in_one_another():
    glances = [
        Glance(look_at(png(make(i))).small) for make in (picture, detailed) for i in range(9)
    ]
    for i, one in enumerate(glances):
        for other in glances[:i]:
            found = fit_of(one, other)
            assert found is None or found.likeness < 0.9


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (2, 300), (64, 64)])
@pytest.mark.parametrize("colour", ["white", "red"])
def test_where_nothing_is_to_be_seen_nothing_is_found(size, colour):
    plain = png(Image.new("RGB", size, colour))
    assert fit(plain, plain) is None
    assert fit(plain, png(picture(1))) is None
    assert fit(png(picture(1)), plain) is None


def test_a_part_in_other_colours_is_none():
    other = Image.merge("RGB", detailed(3).split()[::-1])
    found = fit(png(detailed(3)), png(cut(other, 0.7, 0.5, 0.5)))
    assert found is None or found.likeness < 0.9


def test_parts_are_among_the_findings():
    """Beside a copy, which is no part, and another picture, which is nothing."""
    sources = [jpeg(detailed(i)) for i in range(8)]
    sources += [jpeg(cut(detailed(2), 0.7, 1, 0)), jpeg(scaled(detailed(5), 0.5))]
    rng = np.random.default_rng(0)
    features = rng.normal(size=(8, 12))
    features = np.concatenate([features, features[[2, 5]] + 0.3 * rng.normal(size=(2, 12))])
    samples = [Sample(id=str(i), source=s, label=i % 2) for i, s in enumerate(sources)]
    part = unseen("train", samples, features.astype(np.float32), np.full((10, 2), 0.5))
    found = examined([part], ("a", "b"), thorough=True).duplicates
    assert [tuple(pair) for pair in found.pairs.tolist()] == [(5, 9), (2, 8)]
    assert found.parts.tolist() == [False, True]
    assert not found.mirrored.any()
    assert not examined([part], ("a", "b")).duplicates.parts.any()
