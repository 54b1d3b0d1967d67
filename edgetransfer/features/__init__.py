"""Images to features: an overlapped, bounded pipeline, and a cache on disk."""

from edgetransfer.features.cache import FeatureCache, default_cache_folder
from edgetransfer.features.cached import FeatureTable, cached_features
from edgetransfer.features.extractor import (
    FeatureBatch,
    FeatureExtractor,
    TrainView,
    available_cores,
)

__all__ = [
    "FeatureBatch",
    "FeatureCache",
    "FeatureExtractor",
    "FeatureTable",
    "TrainView",
    "available_cores",
    "cached_features",
    "default_cache_folder",
]
