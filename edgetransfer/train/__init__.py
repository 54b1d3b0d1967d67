"""The straight line over a fixed data set: train, evaluate, predict."""

from edgetransfer.train.classifier import Classifier, Prediction
from edgetransfer.train.settings import LinearTraining
from edgetransfer.train.sorting import PhotoSorter
from edgetransfer.train.training import train_linear

__all__ = ["Classifier", "LinearTraining", "PhotoSorter", "Prediction", "train_linear"]
