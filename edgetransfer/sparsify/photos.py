"""Calibration photos: found, chosen, decoded once, and shown in several views."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from edgetransfer.data.loading import find_images
from edgetransfer.errors import DataError, ImageError
from edgetransfer.images import (
    SUFFIXES,
    EvalTransform,
    TrainTransform,
    normalise,
    open_upright,
    render,
    view_rng,
)
from edgetransfer.settings.shared import MAX_BAD
from edgetransfer.types import (
    Float32Array,
    Preprocessing,
    Progress,
    UInt8Array,
    no_progress,
)

logger = logging.getLogger(__name__)

FEWEST = 16
HELD_OUT = 8  # one photo of so many
MOST_HELD_OUT = 64
LEAST_AREA = 0.35  # of a photo that an augmented calibration view covers
TUNING_EPOCH = 1 << 20  # so that no view is one of the calibration's


@dataclass(frozen=True, kw_only=True)
class CalibrationViews:
    """Photos as the networks are fed.

    Parameters
    ----------
    pixels
        (n, S, S, 3) uint8; first the views that are fitted to, then the held-out ones.
    held_out
        How many of them, at the end, are never fitted to.
    photos
        How many photos they show.
    preprocessing
        Of the backbone.
    """

    pixels: UInt8Array
    held_out: int
    photos: int
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def fitted(self) -> int:
        """How many views are fitted to."""
        return len(self.pixels) - self.held_out

    def fewer(self, most: int) -> CalibrationViews:
        """At most so many of the fitted views, spread over the photos, and the held-out ones."""
        step = max(1, -(-self.fitted // most))
        fitted, held_out = self.pixels[: self.fitted : step], self.pixels[self.fitted :]
        return replace(self, pixels=np.concatenate([fitted, held_out]))

    def normalised(self, first: int, count: int) -> Float32Array:
        """Some views as model input, (count, 3, S, S) float32."""
        size = self.preprocessing.size
        out = np.empty((count, 3, size, size), np.float32)
        for row in range(count):
            normalise(Image.fromarray(self.pixels[first + row]), self.preprocessing, out[row])
        return out


def find_photos(folder: Path, seed: int) -> list[Path]:
    """The photos below a folder, in an order that the seed decides.

    Raises
    ------
    DataError
        If there is no such folder, or too few photos in it.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; --calibration takes a folder of photos, labels are not "
            "needed"
        )
    paths = list(find_images(folder, suffixes=SUFFIXES))
    if len(paths) < FEWEST:
        raise DataError(
            f"{folder}: {len(paths)} photos found; calibration needs at least {FEWEST}, "
            "better 512 of the kind that the backbone is to see"
        )
    order = np.random.default_rng((seed, len(paths))).permutation(len(paths))
    return [paths[i] for i in order]


def held_out_count(photos: int) -> int:
    """How many of so many calibration photos, the first ones, are held out."""
    return min(photos // HELD_OUT, MOST_HELD_OUT)


def load_views(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    views: int,
    seed: int,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> CalibrationViews:
    """Decode photos and show each in the eval view and ``views - 1`` augmented ones.

    One photo in eight, at most 64, is held out and shown in the eval view alone. Photos that
    cannot be decoded are left out and named.

    Raises
    ------
    DataError
        If more than a twentieth of them cannot be decoded, or they are all alike.
    """
    held = held_out_count(len(paths))
    bad: list[tuple[Path, str]] = []
    shown: list[list[UInt8Array]] = []
    with ThreadPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(_views_of, path, preprocessing, 1 if i < held else views, seed, i)
            for i, path in enumerate(paths)
        ]
        for done, (path, job) in enumerate(zip(paths, jobs, strict=True), 1):
            try:
                shown.append(job.result())
            except (ImageError, OSError) as error:
                shown.append([])
                bad.append((path, str(error)))
            progress("calibration photos", done, len(paths))
    _check(paths, bad, shown)
    fitted = [view for some in shown[held:] for view in some]
    held_out = [view for some in shown[:held] for view in some]
    return CalibrationViews(
        pixels=np.stack(fitted + held_out),
        held_out=len(held_out),
        photos=len(paths) - len(bad),
        preprocessing=preprocessing,
    )


def tuning_views(
    sources: Sequence[Path | bytes],
    preprocessing: Preprocessing,
    *,
    count: int,
    seed: int,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> CalibrationViews:
    """Standard training views of photos, to measure batch-norm statistics on; none is held out.

    Of fewer photos than ``count`` each is shown in several views. What cannot be decoded is left
    out.

    Raises
    ------
    DataError
        If nothing can be decoded.
    """
    transform = TrainTransform(size=preprocessing.size)

    def shown(number: int) -> UInt8Array | None:
        source, view = sources[number % len(sources)], number // len(sources)
        try:
            picture = open_upright(source)
        except (ImageError, OSError):
            return None
        full = picture.size
        seen = transform.view(*full, view_rng(seed, TUNING_EPOCH + view, number % len(sources)))
        return np.array(render(picture, seen, full, preprocessing))

    found: list[UInt8Array] = []
    with ThreadPoolExecutor(workers) as pool:
        for done, pixels in enumerate(pool.map(shown, range(count if sources else 0)), 1):
            found += [] if pixels is None else [pixels]
            progress("views for batch-norm", done, count)
    if not found:
        raise DataError("none of the photos that batch-norm is to be tuned on can be decoded")
    return CalibrationViews(
        pixels=np.stack(found),
        held_out=0,
        photos=min(len(found), len(sources)),
        preprocessing=preprocessing,
    )


def _views_of(
    path: Path, preprocessing: Preprocessing, views: int, seed: int, index: int
) -> list[UInt8Array]:
    picture = open_upright(path)
    full = picture.size
    shown = [EvalTransform(size=preprocessing.size, resize=preprocessing.resize).view(*full)]
    augmented = TrainTransform(size=preprocessing.size, area=(LEAST_AREA, 1.0))
    shown += [augmented.view(*full, view_rng(seed, v, index)) for v in range(1, views)]
    return [np.array(render(picture, view, full, preprocessing)) for view in shown]


def _check(
    paths: Sequence[Path], bad: list[tuple[Path, str]], shown: list[list[UInt8Array]]
) -> None:
    for path, reason in bad[:5]:
        logger.warning("skipped %s: %s", path, reason)
    if len(bad) > MAX_BAD * len(paths):
        raise DataError(
            f"{len(bad)} of {len(paths)} calibration photos cannot be decoded ({bad[0][0]}: "
            f"{bad[0][1]}); mend or remove them"
        )
    distinct = {some[0].tobytes() for some in shown if some}
    if 2 * len(distinct) < len(paths):
        raise DataError(
            f"the calibration photos are alike: only {len(distinct)} of {len(paths)} differ; "
            "give photos as varied as those that the backbone is to see"
        )


def fingerprint(views: CalibrationViews) -> str:
    """A hash of everything that the networks are fed."""
    digest = hashlib.sha256(f"{views.pixels.shape} {views.held_out}".encode())
    digest.update(np.ascontiguousarray(views.pixels).data)
    return digest.hexdigest()
