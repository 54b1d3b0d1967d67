"""A head fitted to a table of features at once: everything but SGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetransfer.engines import available_cores
from edgetransfer.features import FeatureTable
from edgetransfer.heads import (
    ClosedFormSolver,
    Honest,
    LBFGSSolver,
    LinearHead,
    SoftmaxLoss,
    Trial,
)
from edgetransfer.heads.selection import Method
from edgetransfer.reports.train import HeadDetails, LBFGSRecord, TrialRecord
from edgetransfer.settings.train import LinearTraining, MapName
from edgetransfer.train.epochs import Scaling
from edgetransfer.train.honesty import calibration_record, honest_record, warn_of_hidden
from edgetransfer.types import Progress

METHODS: dict[str, tuple[Method, ...]] = {
    "auto": ("lda", "ridge"),
    "lda": ("lda",),
    "ridge": ("ridge",),
}


@dataclass(frozen=True, kw_only=True)
class FittedHead:
    """A head, and what is known of it.

    Parameters
    ----------
    head
        On raw features.
    loss
        Its mean cross-entropy on them.
    details
        What the report says of it.
    honest
        What heads say that were fitted without each photo; None where nothing was chosen so.
    """

    head: LinearHead
    loss: float
    details: HeadDetails
    honest: Honest | None = None


def fit_head(
    settings: LinearTraining, table: FeatureTable, classes: tuple[str, ...], progress: Progress
) -> FittedHead:
    """Fit the head that the settings ask for."""
    scaling = Scaling.of(table.features) if settings.standardize else None
    features = table.features if scaling is None else scaling(table.features)
    if settings.solver == "lbfgs":
        result = LBFGSSolver(l2=settings.l2).fit(
            features,
            table.labels,
            classes,
            seed=settings.seed,
            threads=settings.threads or available_cores(),
            progress=progress,
        )
        lbfgs: LBFGSRecord = {
            "l2": result.l2,
            "iterations": result.iterations,
            "tried": [{"l2": l2, "held_out_loss": loss} for l2, loss in result.tried],
        }
        details: HeadDetails = {"lbfgs": lbfgs}
        if result.honest is not None:
            details["honest"] = honest_record(result.honest, classes, len(table.labels))
            warn_of_hidden(details["honest"])
        return FittedHead(
            head=unscaled(result.head, scaling),
            loss=result.loss,
            details=details,
            honest=result.honest,
        )
    return _closed_form(settings, table, features, scaling, classes, progress)


def _closed_form(
    settings: LinearTraining,
    table: FeatureTable,
    features: np.ndarray[Any, np.dtype[np.float32]],
    scaling: Scaling | None,
    classes: tuple[str, ...],
    progress: Progress,
) -> FittedHead:
    solver = ClosedFormSolver(
        methods=METHODS[settings.solver or "auto"],
        maps=_maps(settings),
        penalty=settings.penalty,
        logistic=settings.solver in (None, "auto"),
        class_weights=settings.class_weights,
        seed=settings.seed,
    )
    threads = settings.threads or available_cores()
    result = solver.fit(features, table.labels, classes, threads=threads, progress=progress)
    head = unscaled(result.head, scaling)
    honest = honest_record(result.honest, classes, len(table.labels))
    warn_of_hidden(honest)
    loss = SoftmaxLoss().value(head.map(table.features), table.labels, head.weights, head.bias)
    details: HeadDetails = {
        "honest": honest,
        "calibration": calibration_record(result.honest, result.uncalibrated),
        "chosen": _record(result.chosen),
        "tried": [_record(trial) for trial in result.tried],
    }
    return FittedHead(head=head, loss=loss, details=details, honest=result.honest)


def _record(trial: Trial) -> TrialRecord:
    return {
        "solver": trial.solver,
        "map": trial.map,
        "penalties": list(trial.penalties),
        "accuracy": trial.accuracy,
    }


def _maps(settings: LinearTraining) -> tuple[MapName, ...]:
    if settings.feature_map != "auto":
        return (settings.feature_map,)
    # Scaled features are folded into the weights, which a map would not allow.
    return ("raw",) if settings.standardize else ClosedFormSolver.maps


def unscaled(head: LinearHead, scaling: Scaling | None) -> LinearHead:
    """The head on raw features that equals one on scaled features."""
    return head if scaling is None else head.unstandardized(scaling.mean, scaling.std)
