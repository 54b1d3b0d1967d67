"""Linear classifiers on features, and the two ways to train them."""

from edgetransfer.heads.lbfgs import LBFGSResult, LBFGSSolver
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import SoftmaxLoss
from edgetransfer.heads.sgd import SGDSettings, SGDSolver

__all__ = [
    "LBFGSResult",
    "LBFGSSolver",
    "LinearHead",
    "SGDSettings",
    "SGDSolver",
    "SoftmaxLoss",
]
