"""From tables, or a run's own photos, to those that are most like the ones asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetransfer.backbones import Backbone, open_with
from edgetransfer.data import Sample
from edgetransfer.errors import BackboneError, DataError, UsageError
from edgetransfer.features.table_folder import is_table_folder, open_tables
from edgetransfer.features.whole import features_of
from edgetransfer.findings.most_alike import MostAlike
from edgetransfer.names import readable
from edgetransfer.reports.search import SearchRecord
from edgetransfer.reprs import short_repr
from edgetransfer.runs import RunFolder
from edgetransfer.settings.search import SearchSettings
from edgetransfer.settings.shared import BackboneReading
from edgetransfer.train.gathering import gathered
from edgetransfer.train.opened_run import open_run
from edgetransfer.types import Float32Array, Progress, no_progress

Labelled = tuple[str, str, str]
"""Id, label and split."""
Parts = Callable[[], Iterator[tuple[Float32Array, list[Labelled]]]]


@dataclass(frozen=True, kw_only=True)
class _Searched:
    """What is searched: its backbone, how many photos there are, and their features in parts."""

    backbone: Backbone
    engine: str
    parts: Parts

    __repr__ = short_repr


def search(
    settings: SearchSettings, photos: Sequence[Sample], *, progress: Progress = no_progress
) -> SearchRecord:
    """Find the photos that are most like each of some others.

    The search is exact: the features of all are compared by the cosine of their angle, a part of
    them at a time, so that memory stays small.

    Raises
    ------
    EdgeTransferError
        If there is nothing to search, or the backbone, the engine or a photo cannot be used.
    """
    searched = _opened(settings, progress)
    queries = features_of(
        searched.backbone, photos, engine=searched.engine, threads=settings.threads
    )
    best: MostAlike[Labelled] = MostAlike(queries, settings.top)
    looked = 0
    for features, names in searched.parts():
        best.add(features, names)
        looked += len(names)
        progress("searching", looked, 0)
    return {
        "source": readable(str(settings.source)),
        "photos": looked,
        "queries": [
            {
                "id": readable(photo.id),
                "nearest": [
                    {
                        "id": readable(one.name[0]),
                        "label": readable(one.name[1]),
                        "split": one.name[2],
                        "similarity": one.similarity,
                    }
                    for one in found
                ],
            }
            for photo, found in zip(photos, best.found, strict=True)
        ],
    }


def _opened(settings: SearchSettings, progress: Progress) -> _Searched:
    if is_table_folder(settings.source):
        return _tables(settings.source, settings)
    run = RunFolder.open(settings.source)
    if run.is_stream:
        raise UsageError(
            f"{settings.source}: a stream's run keeps no photos; search tables that "
            "`edgetransfer extract` makes of them"
        )
    opened = open_run(settings.source, backbone=settings.backbone)
    training = opened.settings
    if training is None:
        raise UsageError(f"{settings.source}: it does not say what it was trained on")
    if is_table_folder(training.data):
        return _tables(training.data, settings)
    training = replace(
        training, engine=settings.engine, threads=settings.threads, test_data=training.test_data
    )

    def parts() -> Iterator[tuple[Float32Array, list[Labelled]]]:
        found = gathered(training, opened.backbone, head=opened.head, progress=progress)
        for part in found.parts:
            names = [
                (sample.id, found.splits.classes[sample.label], part.split)
                for sample in part.samples
            ]
            yield part.features, names

    return _Searched(backbone=opened.backbone, engine=settings.engine, parts=parts)


def _tables(folder: Path, settings: SearchSettings) -> _Searched:
    tables = open_tables(folder)
    origin = tables.index.origin
    named = settings.backbone or origin.backbone
    other = f"{folder}: its features were made by {origin.backbone}, and {named} is another"
    try:
        backbone = open_with(named, BackboneReading(features=origin.tensor))
    except BackboneError as error:
        raise DataError(f"{other} ({error}); name that one by --backbone") from error
    if backbone.identity != origin.identity:
        raise DataError(f"{other}; name that one by --backbone")

    def parts() -> Iterator[tuple[Float32Array, list[Labelled]]]:
        for file in tables.files:
            for rows in file.rows():
                yield rows.features, list(zip(rows.ids, rows.labels, rows.splits, strict=True))

    return _Searched(
        backbone=backbone.seeing(origin.preprocessing),
        engine=origin.engine if settings.engine == "auto" else settings.engine,
        parts=parts,
    )
