"""The straight line over an endless stream: predict, score, learn, and lose nothing."""

from edgetransfer.stream.checking import Check, check
from edgetransfer.stream.exporting import export
from edgetransfer.stream.forgetting import forget
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.learner import OnlineLearner
from edgetransfer.stream.learning.feature_learner import FeatureLearner
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.opening import Eyes
from edgetransfer.stream.rewind import RolledBack, SavedState, rollback, saved_states
from edgetransfer.stream.running import run_stream
from edgetransfer.stream.settings import KeepingSettings, LearningSettings, StreamSettings
from edgetransfer.stream.snapshot import Snapshot
from edgetransfer.stream.statistics_learner import StatisticsLearner

__all__ = [
    "Check",
    "DurableLearner",
    "Eyes",
    "FeatureLearner",
    "KeepingSettings",
    "LearningSettings",
    "Offer",
    "OnlineLearner",
    "Receipt",
    "RolledBack",
    "SavedState",
    "Snapshot",
    "StatisticsLearner",
    "StreamSettings",
    "check",
    "export",
    "forget",
    "rollback",
    "run_stream",
    "saved_states",
]
