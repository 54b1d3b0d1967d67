"""The straight line over a fixed data set: train, evaluate, predict."""

from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.classifier import Classifier
from edgetransfer.train.prediction import Prediction
from edgetransfer.train.prediction_file import CommaTable, check_ending, prediction_file
from edgetransfer.train.predictions import Predictions
from edgetransfer.train.sorting import PhotoSorter
from edgetransfer.train.training import train_linear

__all__ = [
    "Classifier",
    "CommaTable",
    "LinearTraining",
    "PhotoSorter",
    "Prediction",
    "Predictions",
    "check_ending",
    "prediction_file",
    "train_linear",
]
