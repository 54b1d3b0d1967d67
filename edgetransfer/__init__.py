"""Adapt sparse image backbones to your own photos, on a laptop CPU.

    import edgetransfer

    edgetransfer.train_linear(backbone="tinyresnet-90", data="photos", out="run")
    with edgetransfer.Classifier.load("run") as classifier:
        print(classifier.predict("photo.jpg"))
    edgetransfer.features("tinyresnet-90", "photos")
    edgetransfer.export("run", "model.onnx")

The names below are imported when they are first used, so that ``import edgetransfer`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgetransfer.version import __version__ as __version__

if TYPE_CHECKING:
    from edgetransfer import features
    from edgetransfer.backbones import Backbone
    from edgetransfer.errors import EdgeTransferError
    from edgetransfer.jobs.exporting import export
    from edgetransfer.stream import OnlineLearner, StreamSettings, run_stream
    from edgetransfer.train import Classifier, LinearTraining, Prediction, train_linear

__all__ = [
    "Backbone",
    "Classifier",
    "EdgeTransferError",
    "LinearTraining",
    "OnlineLearner",
    "Prediction",
    "StreamSettings",
    "export",
    "features",
    "run_stream",
    "train_linear",
]

_HOMES = {
    "Backbone": "edgetransfer.backbones",
    "Classifier": "edgetransfer.train",
    "EdgeTransferError": "edgetransfer.errors",
    "LinearTraining": "edgetransfer.train",
    "OnlineLearner": "edgetransfer.stream",
    "Prediction": "edgetransfer.train",
    "StreamSettings": "edgetransfer.stream",
    "export": "edgetransfer.jobs.exporting",
    "run_stream": "edgetransfer.stream",
    "train_linear": "edgetransfer.train",
}


def __getattr__(name: str) -> Any:
    if name == "features":  # a room that can be called
        return import_module("edgetransfer.features")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
