"""The train view and the eval view."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgetransfer.images import (
    EvalTransform,
    TrainTransform,
    View,
    normalise,
    open_upright,
    render,
    view_rng,
)
from edgetransfer.images.views import SPARE
from edgetransfer.types import Interpolation, Preprocessing
from tests.images_made import encode, noise_pixels, smooth_pixels

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def reference_eval(image: Image.Image, resize: int, size: int, interpolation: str) -> np.ndarray:
    """Resize and centre crop as torchvision does them on Pillow images."""
    width, height = image.size
    if width <= height:
        scaled = (resize, int(resize * height / width))
    else:
        scaled = (int(resize * width / height), resize)
    whole = image.resize(scaled, FILTERS[interpolation])
    left = round((scaled[0] - size) / 2.0)
    top = round((scaled[1] - size) / 2.0)
    return np.asarray(whole.crop((left, top, left + size, top + size)))


def shown(
    image: Image.Image, view: View, full_size: tuple[int, int], preprocessing: Preprocessing
) -> np.ndarray:
    return np.asarray(render(image, view, full_size, preprocessing))


def eval_view(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    transform = EvalTransform(size=preprocessing.size, resize=preprocessing.resize)
    return shown(image, transform.view(*image.size), image.size, preprocessing)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    size=st.integers(8, 64),
    more=st.integers(0, 20),
)
def test_the_eval_view_is_pillows_reference_steps(
    interpolation: Interpolation, width: int, height: int, size: int, more: int
) -> None:
    if max(width, height) * (size + more) > 15 * size * min(width, height):
        return  # very long pictures have a test of their own
    preprocessing = Preprocessing(size=size, resize=size + more, interpolation=interpolation)
    image = Image.fromarray(noise_pixels(width, height))
    expected = reference_eval(image, size + more, size, interpolation)
    actual = eval_view(image, preprocessing)
    assert actual.shape == (size, size, 3)
    assert np.abs(actual.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("dims", [(500, 375), (375, 500), (257, 255), (255, 257), (224, 224),
                                  (301, 1999), (1, 1), (640, 481)])  # fmt: skip
def test_the_eval_view_at_224_is_pillows_reference_steps(
    dims: tuple[int, int], interpolation: Interpolation
) -> None:
    image = Image.fromarray(noise_pixels(*dims))
    expected = reference_eval(image, 256, 224, interpolation)
    actual = eval_view(image, Preprocessing(interpolation=interpolation))
    assert np.abs(actual.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("dims", [(3000, 20), (20, 3000), (9000, 100)])
def test_the_eval_view_of_a_very_long_picture_shows_its_middle(dims: tuple[int, int]) -> None:
    image = Image.fromarray(smooth_pixels(*dims))
    expected = reference_eval(image, 36, 32, "bilinear")
    actual = eval_view(image, Preprocessing(size=32, resize=36))
    assert np.abs(actual.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("dims", [(1, 1), (1, 3000), (3000, 1), (2, 100_000)])
def test_tiny_and_extreme_pictures_have_both_views(dims: tuple[int, int]) -> None:
    image = Image.new("RGB", dims, (10, 120, 250))
    preprocessing = Preprocessing(size=32, resize=36)
    train = TrainTransform(size=32).view(*dims, view_rng(0, 0, 0))
    for pixels in (
        eval_view(image, preprocessing),
        shown(image, train, dims, preprocessing),
    ):
        assert pixels.shape == (32, 32, 3)
        assert (pixels == (10, 120, 250)).all()


def test_train_views_keep_the_bounds_of_the_paper() -> None:
    width, height, n = 640, 480, 3000
    transform = TrainTransform(size=64)
    views = [transform.view(width, height, view_rng(0, 0, i)) for i in range(n)]
    boxes = np.array([v.box for v in views])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= width
    assert boxes[:, 3].max() <= height
    area, aspect = w * h / (width * height), w / h
    rounding = 1 / w.min() + 1 / h.min()
    assert area.min() >= 0.08 * (1 - rounding)
    assert area.min() < 0.09
    assert area.max() <= 1
    assert area.max() > 0.9
    assert aspect.min() >= 3 / 4 * (1 - rounding)
    assert aspect.max() <= 4 / 3 * (1 + rounding)
    flips = np.mean([v.flip for v in views])
    assert abs(flips - 0.5) < 4 * 0.5 / math.sqrt(n)
    assert {v.scaled for v in views} == {(64, 64)}


def test_small_crops_have_uniform_area_and_log_uniform_aspect() -> None:
    # Up to half of the area every aspect fits a square, so that no draw is rejected.
    transform = TrainTransform(size=64, area=(0.08, 0.5))
    boxes = np.array([transform.view(2000, 2000, view_rng(1, 0, i)).box for i in range(3000)])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, aspect = np.sort(w * h / 4e6), np.sort(np.log(w / h))
    # Kolmogorov-Smirnov distance; 1.63 / sqrt(n) is its 1 % point.
    steps = np.arange(1, 3001) / 3000
    assert np.abs((area - 0.08) / 0.42 - steps).max() < 1.63 / math.sqrt(3000)
    span = math.log(4 / 3)
    assert np.abs((aspect + span) / (2 * span) - steps).max() < 1.63 / math.sqrt(3000)


@given(st.integers(0, 2**32), st.integers(0, 10_000), st.integers(0, 10**9))
def test_a_view_is_a_function_of_seed_epoch_and_index(seed: int, epoch: int, index: int) -> None:
    transform = TrainTransform(size=64)
    view = transform.view(500, 400, view_rng(seed, epoch, index))
    assert view == transform.view(500, 400, view_rng(seed, epoch, index))
    others = [(seed + 1, epoch, index), (seed, epoch + 1, index), (seed, epoch, index + 1)]
    for other in others:
        assert view_rng(*other).random() != view_rng(seed, epoch, index).random()
    fresh = np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, index]))
    assert view_rng(seed, epoch, index).random(9).tolist() == fresh.random(9).tolist()


def test_neighbouring_images_epochs_and_seeds_are_independent() -> None:
    n = 2000
    base = np.array([view_rng(0, 0, i).random(3) for i in range(n + 1)])
    epoch = np.array([view_rng(0, 1, i).random(3) for i in range(n)])
    seed = np.array([view_rng(1, 0, i).random(3) for i in range(n)])
    for other in (base[1:], epoch, seed):
        for column in range(3):
            correlation = np.corrcoef(base[:n, column], other[:, column])[0, 1]
            assert abs(correlation) < 4 / math.sqrt(n)


def test_a_flipped_view_is_the_mirror_image() -> None:
    image = Image.fromarray(noise_pixels(40, 30))
    preprocessing = Preprocessing(size=16, resize=16)
    box = (5.0, 3.0, 29.0, 27.0)
    straight = shown(image, View(box=box, scaled=(16, 16)), image.size, preprocessing)
    flipped = shown(image, View(box=box, scaled=(16, 16), flip=True), image.size, preprocessing)
    np.testing.assert_array_equal(flipped, straight[:, ::-1])
    expected = image.crop((5, 3, 29, 27)).resize((16, 16), Image.Resampling.BILINEAR)
    inner = np.abs(straight.astype(int) - np.asarray(expected))[2:-2, 2:-2]
    assert inner.max() <= 1  # at the edges the filter sees beyond the box


def test_the_train_view_of_a_small_decoded_jpeg_is_close_to_that_of_the_full_one() -> None:
    pixels = smooth_pixels(1600, 1200)
    data = encode(pixels, "JPEG", quality=95)
    transform, preprocessing = TrainTransform(size=64), Preprocessing(size=64, resize=73)
    smaller = 0
    for index in range(6):
        view = transform.view(1600, 1200, view_rng(0, 0, index))
        small = open_upright(data, lambda _w, _h, view=view: view.shrink)  # type: ignore[misc]
        smaller += small.width < 1600
        quick = shown(small, view, (1600, 1200), preprocessing).astype(int)
        full = shown(open_upright(data), view, (1600, 1200), preprocessing)
        # The crop still has more pixels than the view.
        assert (view.box[2] - view.box[0]) * small.width / 1600 >= SPARE * 64 - 1
        assert np.abs(quick - full).mean() < 1
    assert smaller >= 4


def test_normalisation_follows_its_formula() -> None:
    pixels = noise_pixels(32, 32)
    preprocessing = Preprocessing(
        size=32, resize=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    out = np.full((3, 32, 32), np.nan, np.float32)
    normalise(Image.fromarray(pixels), preprocessing, out)
    expected = (pixels / 255.0 - preprocessing.mean) / preprocessing.std
    np.testing.assert_allclose(out, expected.transpose(2, 0, 1), atol=2e-6)


def test_normalisation_to_minus_one_and_one() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0, 0] = (0, 255, 51)
    out = np.empty((3, 8, 8), np.float32)
    normalise(Image.fromarray(pixels), Preprocessing(size=8, mean=(0.5,) * 3, std=(0.5,) * 3), out)
    np.testing.assert_allclose(out[:, 0, 0], [-1, 1, -0.6], atol=1e-6)
