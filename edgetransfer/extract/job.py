"""From photos to tables of features."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.data import load_data
from edgetransfer.engines import AUTO, result_version
from edgetransfer.errors import DataError, UsageError
from edgetransfer.extract.entering import begin, check
from edgetransfer.extract.part import PartTask
from edgetransfer.extract.plan import PartPlan, plan_parts
from edgetransfer.extract.schedulers import run_tasks
from edgetransfer.features.table_index import Index, n_parts
from edgetransfer.features.table_lines import lines_beside
from edgetransfer.features.tables import Origin, TableFile, check_arrow
from edgetransfer.features.worker import FeatureWorker
from edgetransfer.images import SUFFIXES
from edgetransfer.names import readable
from edgetransfer.paths import without_query
from edgetransfer.reports.extract import ExtractionRecord
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.settings.extract import Extraction
from edgetransfer.types import Progress, no_progress

NAMED = 3


def extract(
    settings: Extraction, *, overwrite: bool = False, progress: Progress = no_progress
) -> ExtractionRecord:
    """Extract the features of a data set's photos into tables; returns the report.

    A table is there whole or not at all, and one that is there is not made again: an interrupted
    extraction goes on, and the members of a job array (``partition``) share a folder.

    Raises
    ------
    EdgeTransferError
        If the backbone, the data, the engine or the folder cannot be used.
    """
    check_arrow()
    if overwrite and settings.partition is not None:
        raise UsageError(
            "--overwrite with --partition would delete what the others make; empty the folder first"
        )
    check(settings.out)
    splits = load_data(settings.data, suffixes=SUFFIXES)
    worker = FeatureWorker(
        settings.backbone,
        reading=settings,
        engine=_engine(settings, overwrite=overwrite),
        threads=settings.threads,
    )
    origin = _origin(worker, settings)
    photos = len(splits.train) + len(splits.val) + len(splits.test)
    index = Index(
        origin=origin,
        classes=splits.classes,
        photos=photos,
        rows=settings.rows,
        fingerprint=splits.fingerprint,
        data=readable(without_query(settings.data).resolve().name),
    )
    begin(index, settings.out, overwrite=overwrite)
    own = list(plan_parts(splits, settings.rows, settings.partition))
    done = {part.name: _is_done(part, settings.out, origin) for part in own}
    tasks = [
        PartTask(
            worker=worker,
            part=part,
            folder=settings.out,
            origin=origin,
            classes=splits.classes,
            made=done[part.name],
            lines=settings.jsonl,
        )
        for part in own
        if not done[part.name]
        or (settings.jsonl and not lines_beside(part.table(settings.out)).exists())
    ]
    try:
        run_tasks(tasks, settings, progress)
    finally:
        worker.close()
    problems = _problems(own, settings.out)
    extracted = sum(len(part.samples) for part in own)
    _check(problems, extracted, settings)
    return {
        "out": str(settings.out),
        "backbone": origin.backbone,
        "engine": origin.engine,
        "dimension": origin.dimension,
        "dtype": origin.dtype,
        "classes": len(splits.classes),
        "photos": extracted,
        "photos_in_all": photos,
        "tables": len(own),
        "tables_in_all": n_parts(photos, settings.rows),
        "tables_made": list(done.values()).count(False),
        "bytes": sum(part.table(settings.out).stat().st_size for part in own),
        "problems": problems,
    }


def _engine(settings: Extraction, *, overwrite: bool) -> str:
    """The engine that the tables were begun with, where none is asked for by name."""
    begun = None if overwrite or settings.engine != AUTO else Index.read(settings.out)
    return settings.engine if begun is None else begun.origin.engine


def _origin(worker: FeatureWorker, settings: Extraction) -> Origin:
    backbone, choice = worker.backbone, worker.extractor.engine.choice
    return Origin(
        backbone=settings.backbone,
        identity=backbone.identity,
        preprocessing=backbone.preprocessing,
        tensor=backbone.cut.tensor,
        engine=choice.name,
        engine_version=result_version(choice),
        dimension=backbone.dimension,
        dtype=settings.dtype,
    )


def _is_done(part: PartPlan, folder: Path, origin: Origin) -> bool:
    """Whether the table is there; what is damaged or of other photos is made again."""
    path = part.table(folder)
    if not path.exists():
        return False
    try:
        table = TableFile(path)
        return table.origin.difference(origin) is None and table.columns("id")["id"] == part.ids
    except DataError:
        return False


def _problems(parts: list[PartPlan], folder: Path) -> list[SkippedRecord]:
    found: list[SkippedRecord] = []
    for part in parts:
        columns = TableFile(part.table(folder)).columns("id", "problem")
        found += [
            {"id": name, "reason": reason}
            for name, reason in zip(columns["id"], columns["problem"], strict=True)
            if reason is not None
        ]
    return found


def _check(problems: list[SkippedRecord], photos: int, settings: Extraction) -> None:
    if len(problems) > settings.max_bad * photos:
        examples = "; ".join(f"{row['id']}: {row['reason']}" for row in problems[:NAMED])
        raise DataError(
            f"{len(problems)} of {photos} images cannot be used, more than --max-bad "
            f"{settings.max_bad:g} allows ({examples}); the tables name each in the column problem"
        )
