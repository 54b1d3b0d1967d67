"""The straight line over an endless stream: predict, score, learn, and lose nothing."""

from edgetransfer.settings.learning import KeepingSettings, LearningSettings
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.stream.checking import Check, check
from edgetransfer.stream.exporting import export
from edgetransfer.stream.forgetting import forget
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.learner import OnlineLearner
from edgetransfer.stream.learning.feature_learner import FeatureLearner
from edgetransfer.stream.learning.offers import Offer, Receipt
from edgetransfer.stream.learning.statistics_learner import StatisticsLearner
from edgetransfer.stream.opening import FeatureSource
from edgetransfer.stream.relabelling import relabel
from edgetransfer.stream.rewind import RolledBack, SavedState, rollback, saved_states
from edgetransfer.stream.running import run_stream
from edgetransfer.stream.snapshot import Snapshot

__all__ = [
    "Check",
    "DurableLearner",
    "FeatureLearner",
    "FeatureSource",
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
    "relabel",
    "rollback",
    "run_stream",
    "saved_states",
]
