"""scikit-learn's way to say it: a transformer of photos, and a classifier of what it returns.

Examples
--------
>>> from edgetransfer import BackboneFeatures, HeadClassifier
>>> from sklearn.pipeline import make_pipeline
>>> model = make_pipeline(BackboneFeatures("tinyresnet-90"), HeadClassifier())
>>> photos = ["photos/train/red/000.png", "photos/train/red/001.png"]
>>> photos += ["photos/train/blue/000.png", "photos/train/blue/001.png"]
>>> model.fit(photos, ["red", "red", "blue", "blue"]).predict(["photos/test/red/000.png"])
array(['red'], dtype='<U4')
"""

from edgetransfer.estimators.classifier import HeadClassifier
from edgetransfer.estimators.transformer import BackboneFeatures

__all__ = ["BackboneFeatures", "HeadClassifier"]
