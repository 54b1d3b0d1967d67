"""From a folder of tables of features to a trained, saved classifier."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import cast

from edgetransfer.backbones import Backbone, warn_of_logits
from edgetransfer.data import DataSplits, Sample
from edgetransfer.errors import UsageError
from edgetransfer.features.part_statistics import MAP
from edgetransfer.features.table_backbone import named_backbone, open_backbone_of
from edgetransfer.features.table_folder import FeatureTables, open_tables
from edgetransfer.features.tables import Origin
from edgetransfer.reports.train import TrainingRecord
from edgetransfer.runs.run_folder import HEAD, METRICS, REPORT, SKIPPED
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.inputs import write_inputs
from edgetransfer.train.opening import limited_threads
from edgetransfer.train.runs import check_finished, entered_run, replacing
from edgetransfer.train.table_job import TableJob
from edgetransfer.types import Progress, no_progress

# What tables leave no room for: settings with the only value that they may have, and why.
FIXED = {
    "mode": ("cached", "the photos themselves are not there to draw augmented views of"),
    "class_weights": ("none", "exact statistics weigh each photo alike"),
    "feature_map": ("auto", f"statistics are of one map, {MAP}"),
    "penalty": (None, "it is chosen by leave-one-out"),
    "l2": (None, "it is of L-BFGS"),
    "standardize": (False, "it is of L-BFGS and SGD"),
    "val_fraction": (0.0, "`extract` says which photos are validated on"),
    "test_data": (None, "`edgetransfer evaluate RUN --data PHOTOS` tests on photos"),
}


def train_on_tables(
    settings: LinearTraining,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> TrainingRecord:
    """Train a head on a folder that `extract` made; as `edgetransfer.train.train_linear`.

    Raises
    ------
    EdgeTransferError
        If the tables, the backbone or the run folder cannot be used, or the settings ask for what
        tables do not allow.
    """
    check_settings(settings)
    tables = open_tables(settings.data)
    tables.check_ids(progress)
    settings, backbone = _backbone(settings, tables.index.origin)
    warn_of_logits(backbone, len(tables.index.classes))
    inputs = _as_inputs(tables)
    with entered_run(
        settings.out, inputs, resume=resume, overwrite=overwrite, difference=settings.difference
    ) as entered:
        run = entered.run
        if entered.finished is not None:
            check_finished(run, backbone.identity)
            return cast(TrainingRecord, entered.finished)
        with replacing(run, overwrite=overwrite), limited_threads(settings.threads):
            run.write_config(settings.to_config())
            run.write_labels(tables.index.classes)
            write_inputs(run, inputs)
            job = TableJob(settings, backbone, tables, list(entered.doubts), progress)
            report = job.train()
            job.head.save(run.file(HEAD), _metadata(backbone, tables.index.origin))
            run.write_lines(METRICS, report["epochs"])
            run.write_lines(SKIPPED, job.skipped)
            run.write_json(REPORT, report)
        return report


def check_settings(settings: LinearTraining) -> None:
    """Refuse settings that need the photos.

    Raises
    ------
    UsageError
        Naming the option, and why.
    """
    if settings.solver != "auto":
        raise UsageError(
            f"--solver {settings.solver}: tables are learned from by their exact statistics, which "
            "is --solver auto"
        )
    for name, (only, why) in FIXED.items():
        if getattr(settings, name) != only:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} does not go with tables of features: {why}")


def _backbone(settings: LinearTraining, origin: Origin) -> tuple[LinearTraining, Backbone]:
    settings = replace(settings, backbone=named_backbone(settings.backbone, origin))
    return settings, open_backbone_of(origin, settings.data, settings.backbone, settings)


def _as_inputs(tables: FeatureTables) -> DataSplits:
    """What a run remembers of its data: the tables as its files."""
    files = tuple(Sample(id=file.path.name, source=file.path) for file in tables.files)
    return DataSplits(classes=tables.index.classes, train=files)


def _metadata(backbone: Backbone, origin: Origin) -> dict[str, str]:
    """What a saved head says of where it belongs; as `edgetransfer.train.opening.head_metadata`."""
    return {
        "backbone": backbone.identity,
        "backbone_name": backbone.name,
        "preprocessing": json.dumps(asdict(backbone.preprocessing)),
        "features": backbone.cut.tensor,
        "engine": origin.engine,
    }
