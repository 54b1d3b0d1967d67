"""Images to features: an overlapped, bounded pipeline, and a cache on disk."""

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
from edgetransfer.features.plans import plan_for, workload_of
from edgetransfer.paths import default_cache_folder

__all__ = [
    "FeatureBatch",
    "FeatureCache",
    "FeatureExtractor",
    "FeatureTable",
    "Take",
    "TrainView",
    "ViewBatch",
    "available_cores",
    "cached_features",
    "default_cache_folder",
    "plan_for",
    "workload_of",
]
