"""Images to features: an overlapped, bounded pipeline, and a cache on disk.

The room can be called: ``edgetransfer.features(backbone, photos)`` is `features_of`.

Examples
--------
>>> import edgetransfer
>>> edgetransfer.features("small.onnx", "photos/test").shape
(15, 16)
"""

import sys
from types import ModuleType
from typing import Any

from edgetransfer.engines import available_cores
from edgetransfer.features.cache import FeatureCache
from edgetransfer.features.cached import FeatureTable, cached_features
from edgetransfer.features.extractor import (
    FeatureBatch,
    FeatureExtractor,
    Take,
    TrainView,
    ViewBatch,
)
from edgetransfer.features.given import Photo, is_one_photo, sample_of, samples_of
from edgetransfer.features.plans import plan_for, workload_of
from edgetransfer.features.whole import features_of
from edgetransfer.paths import default_cache_folder
from edgetransfer.types import Float32Array

__all__ = [
    "FeatureBatch",
    "FeatureCache",
    "FeatureExtractor",
    "FeatureTable",
    "Photo",
    "Take",
    "TrainView",
    "ViewBatch",
    "available_cores",
    "cached_features",
    "default_cache_folder",
    "features_of",
    "is_one_photo",
    "plan_for",
    "sample_of",
    "samples_of",
    "workload_of",
]


class _Room(ModuleType):
    """The room itself, called by the name that people look for."""

    def __call__(self, *args: Any, **kwargs: Any) -> Float32Array:
        return features_of(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
