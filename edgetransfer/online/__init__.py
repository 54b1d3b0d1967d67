"""The straight line over an endless stream: predict, score, learn, and lose nothing."""

from edgetransfer.online.checking import Check, check
from edgetransfer.online.durable import DurableLearner
from edgetransfer.online.exporting import export
from edgetransfer.online.feature_learner import FeatureLearner
from edgetransfer.online.forgetting import forget
from edgetransfer.online.learner import OnlineLearner
from edgetransfer.online.offers import Offer, Receipt
from edgetransfer.online.opening import Eyes
from edgetransfer.online.rewind import RolledBack, SavedState, rollback, saved_states
from edgetransfer.online.running import run_stream
from edgetransfer.online.snapshot import Snapshot
from edgetransfer.settings.stream import KeepingSettings, LearningSettings, StreamSettings

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
    "StreamSettings",
    "check",
    "export",
    "forget",
    "rollback",
    "run_stream",
    "saved_states",
]
