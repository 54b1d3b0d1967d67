"""From a run or a data set to what is doubtful about it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.engines import available_cores
from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.features.table_folder import is_table_folder
from edgetransfer.findings import examined
from edgetransfer.heads import LinearHead
from edgetransfer.jobs.audit.listing import COLUMNS, findings_of, manifest_rows
from edgetransfer.jobs.audit.sorting import sort_doubtful
from edgetransfer.names import readable
from edgetransfer.reports.audit import AuditRecord
from edgetransfer.runs import RunFolder
from edgetransfer.settings.audit import AuditSettings
from edgetransfer.train import LinearTraining
from edgetransfer.train.gathering import Gathered, gathered
from edgetransfer.train.gathering_tables import gathered_tables
from edgetransfer.train.opened_run import open_run
from edgetransfer.train.opening import open_backbone
from edgetransfer.types import Progress, no_progress


def audit(settings: AuditSettings, *, progress: Progress = no_progress) -> AuditRecord:
    """Look through a data set; returns what was found.

    No photo is changed. Labels are doubted by confident learning on what heads in closed form say
    that were fitted without the photo; see `edgetransfer.findings`.

    Raises
    ------
    EdgeTransferError
        If the run, the data, the backbone or the engine cannot be used, or a file not written.
    """
    found = _gathered(settings, progress)
    threads = settings.threads or available_cores()
    examination = examined(
        found.parts, found.splits.classes, threads=threads, thorough=True, progress=progress
    )
    if settings.manifest is not None:
        _write(settings.manifest, manifest_rows(examination, settings.manifest.parent))
    sorted_into = 0
    if settings.sort_into is not None:
        sorted_into = sort_doubtful(examination, settings.sort_into)
    return {
        "source": readable(str(settings.source)),
        "photos": {part.split: len(part.samples) for part in found.parts},
        "classes": len(examination.classes),
        "engine": found.engine,
        **findings_of(examination),
        "skipped": found.skipped,
        "sorted": sorted_into,
    }


def _gathered(settings: AuditSettings, progress: Progress) -> Gathered:
    if is_table_folder(settings.source):
        training = _training(settings, settings.source, settings.backbone_or_default)
        return _of_tables(settings, training, None, progress)
    if not (settings.source / "config.toml").is_file():
        training = _training(settings, settings.source, settings.backbone_or_default)
        return gathered(training, open_backbone(training), progress=progress)
    run = RunFolder.open(settings.source)
    if run.is_stream:
        raise UsageError(
            f"{settings.source}: a stream's run keeps no photos; give the folder that has them"
        )
    if not run.read_config().get("data"):
        raise UsageError(
            f"{settings.source}: an exported folder does not say what it was trained on; give the "
            "photos themselves"
        )
    opened = open_run(settings.source, backbone=settings.backbone)
    if opened.settings is None:
        raise UsageError(f"{settings.source}: a file does not say what it was trained on")
    own = opened.settings
    training = _training(
        settings,
        own.data,
        own.backbone,
        test_data=own.test_data,
        val_fraction=own.val_fraction,
        seed=own.seed,
        batch_size=own.batch_size,
        features=own.features,
    )
    if is_table_folder(own.data):
        return _of_tables(settings, training, opened.head, progress)
    return gathered(training, opened.backbone, head=opened.head, progress=progress)


def _of_tables(
    settings: AuditSettings, training: LinearTraining, head: LinearHead | None, progress: Progress
) -> Gathered:
    if settings.sort_into is not None:
        raise UsageError(
            f"--sort-into: {training.data} are tables of features, and the photos are not there; "
            "--manifest names them below their own folder"
        )
    return gathered_tables(training, training.data, head=head, progress=progress)


def _training(settings: AuditSettings, data: Path, backbone: str, **more: Any) -> LinearTraining:
    """Heads in closed form, whatever a run's own is: they leave out each photo exactly."""
    return LinearTraining(
        backbone=backbone,
        data=data,
        out=settings.source,
        engine=settings.engine,
        threads=settings.threads,
        cache_dir=settings.cache_dir,
        max_bad=settings.max_bad,
        **more,
    )


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise EdgeTransferError(f"{path}: cannot be written: {error.strerror or error}") from error
