"""Accuracy and time."""

from edgetransfer.metrics.accuracy import Accuracy, accuracy_of
from edgetransfer.metrics.clocks import STAGES, StageClock

__all__ = ["STAGES", "Accuracy", "StageClock", "accuracy_of"]
