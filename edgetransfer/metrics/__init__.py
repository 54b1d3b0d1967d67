"""Accuracy and time."""

from edgetransfer.metrics.accuracy import Accuracy, accuracy_of
from edgetransfer.metrics.clocks import STAGES, StageClock
from edgetransfer.metrics.intervals import wilson_interval
from edgetransfer.metrics.memory import peak_memory_bytes

__all__ = [
    "STAGES",
    "Accuracy",
    "StageClock",
    "accuracy_of",
    "peak_memory_bytes",
    "wilson_interval",
]
