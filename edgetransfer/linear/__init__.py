"""The straight line over a fixed data set: train, evaluate, predict."""

from edgetransfer.linear.classifier import Classifier, Prediction
from edgetransfer.linear.sorting import PhotoSorter
from edgetransfer.linear.training import train_linear
from edgetransfer.settings.train import LinearTraining

__all__ = ["Classifier", "LinearTraining", "PhotoSorter", "Prediction", "train_linear"]
