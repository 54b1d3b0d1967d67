"""The features of photos in one call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.engines import open_engine
from edgetransfer.errors import ImageError
from edgetransfer.features.extractor import FeatureExtractor
from edgetransfer.features.given import Photo, is_one_photo, photos_in, samples_of
from edgetransfer.features.plans import plan_for
from edgetransfer.paths import default_cache_folder
from edgetransfer.types import Float32Array

BATCH_SIZE = 64


def features_of(
    backbone: Backbone | str | Path,
    photos: Photo | Iterable[Photo],
    *,
    engine: str = "auto",
    threads: int | None = None,
) -> Float32Array:
    """The features of photos, in their eval view; ``edgetransfer.features`` is this function.

        features = edgetransfer.features("tinyresnet-90", "photos")

    Parameters
    ----------
    backbone
        An ONNX file, the name of a bundled backbone, or an opened one.
    photos
        A folder, in the order of its files' names; one photo; or several.
    engine, threads
        As of `open_engine`.

    Returns
    -------
    (N, D) float32, a row a photo, in their order.

    Raises
    ------
    ImageError
        If a photo cannot be decoded: none is left out.
    DataError
        If there are none.
    """
    opened = backbone if isinstance(backbone, Backbone) else Backbone.open(backbone)
    if isinstance(photos, str | Path) and Path(photos).is_dir():
        samples = photos_in(Path(photos))
    else:
        samples = samples_of([photos] if is_one_photo(photos) else photos)  # type: ignore[arg-type,list-item]
    if not samples:
        return np.empty((0, opened.dimension), np.float32)
    cache = default_cache_folder()
    started = open_engine(
        opened.frozen(min(BATCH_SIZE, len(samples))),
        engine=engine,
        threads=threads,
        cache=cache,
        plan=plan_for(opened, cache, threads),
    )
    parts = []
    with FeatureExtractor(
        started, opened.preprocessing, workers=threads, cores=threads
    ) as extractor:
        for batch in extractor.extract(samples):
            for place, reason in batch.failed:
                raise ImageError(f"{samples[place].id}: {reason}")
            parts.append(batch.features)
    started.close()
    return np.concatenate(parts)
