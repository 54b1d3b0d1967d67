"""Linear classifiers on features, and the ways to fit them."""

from edgetransfer.heads.calibration import calibration_error
from edgetransfer.heads.closed_form import ClosedFormResult, ClosedFormSolver
from edgetransfer.heads.feature_maps import FeatureMap
from edgetransfer.heads.lbfgs import LBFGSResult, LBFGSSolver
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import SoftmaxLoss
from edgetransfer.heads.novelty import Novelty
from edgetransfer.heads.selection import Honest, Trial
from edgetransfer.heads.sgd import SGDSolver
from edgetransfer.heads.statistics import Statistics
from edgetransfer.settings.sgd import SGDSettings

__all__ = [
    "ClosedFormResult",
    "ClosedFormSolver",
    "FeatureMap",
    "Honest",
    "LBFGSResult",
    "LBFGSSolver",
    "LinearHead",
    "Novelty",
    "SGDSettings",
    "SGDSolver",
    "SoftmaxLoss",
    "Statistics",
    "Trial",
    "calibration_error",
]
