"""The straight line over a fixed data set: train, evaluate, predict."""

from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.classifier import Classifier
from edgetransfer.train.prediction import Prediction
from edgetransfer.train.predictions import Predictions
from edgetransfer.train.sorting import PhotoSorter
from edgetransfer.train.training import train_linear

__all__ = [
    "Classifier",
    "LinearTraining",
    "PhotoSorter",
    "Prediction",
    "Predictions",
    "train_linear",
]
