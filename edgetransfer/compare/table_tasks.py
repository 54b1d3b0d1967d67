"""Data sets that are given as features: a folder of tables for each backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from edgetransfer.compare.contestants import Contestant, Features, Task
from edgetransfer.errors import DataError, UsageError
from edgetransfer.features.table_folder import FeatureTables, open_tables
from edgetransfer.metrics.conventions import metric_of
from edgetransfer.settings.compare import ComparisonSettings
from edgetransfer.train.table_training import check_settings


def table_tasks(
    settings: ComparisonSettings, folders: Sequence[Path], contestants: Sequence[Contestant]
) -> list[Task]:
    """The data sets whose features the folders hold, each as seen by all backbones.

    Folders of the same photos, by names, labels and splits, are one data set.

    Raises
    ------
    UsageError
        If what is asked for needs the photos, or a backbone's features are missing, twice there or
        of none that is compared.
    DataError
        If tables are damaged, or have no rows to test on.
    """
    if not folders:
        return []
    _check(settings, folders)
    opened = [open_tables(folder) for folder in folders]
    groups: dict[str, list[FeatureTables]] = {}
    for tables in opened:
        groups.setdefault(tables.index.fingerprint, []).append(tables)
    return [_task(settings, group, contestants) for group in groups.values()]


def _check(settings: ComparisonSettings, folders: Sequence[Path]) -> None:
    if "full" in settings.transfers:
        raise UsageError(
            f"--transfer {settings.transfer}: {folders[0]} are features, and all weights are "
            "finetuned on photos; give the photos, or --transfer linear"
        )
    if settings.seeds > 1:
        raise UsageError(
            f"--seeds {settings.seeds}: a head is learned from the exact statistics of "
            f"{folders[0]}, with nothing left to chance; give --seeds 1"
        )
    check_settings(
        settings.training(
            settings.baseline, folders[0], settings.out, seed=0, held_out=0, solver=settings.solver
        )
    )


def _task(
    settings: ComparisonSettings, group: Sequence[FeatureTables], contestants: Sequence[Contestant]
) -> Task:
    made: dict[str, FeatureTables] = {}
    for tables in group:
        origin = tables.index.origin
        sha256 = origin.identity.partition(":")[0]
        if sha256 not in [contestant.sha256 for contestant in contestants]:
            raise UsageError(
                f"{tables.folder}: features of {origin.backbone}, which is not compared; add "
                f"--backbone {origin.backbone}, or leave the folder out"
            )
        if sha256 in made:
            raise UsageError(
                f"{made[sha256].folder} and {tables.folder} are features of the same photos by the "
                "same backbone; give one of them"
            )
        made[sha256] = tables
    first = group[0]
    for contestant in contestants:
        if contestant.sha256 not in made:
            raise UsageError(
                f"{first.folder}: of these photos there are no features of {contestant.name}; add "
                f"those that `edgetransfer extract --backbone {contestant.given}` makes"
            )
    return Task(
        name=first.index.data,
        path=first.folder,
        fingerprint=first.index.fingerprint,
        metric=metric_of(settings.metric, Path(first.index.data)),
        tested_on=_tested(first),
        held_out=0.0,
        features={
            sha256: Features(path=tables.folder, fingerprint=_fingerprint(tables))
            for sha256, tables in made.items()
        },
    )


def _tested(tables: FeatureTables) -> str:
    splits = {name for file in tables.files for name in file.columns("split")["split"]}
    for split in ("test", "val"):
        if split in splits:
            return split
    raise DataError(
        f"{tables.folder}: no rows to test on; extract photos in train and test folders"
    )


def _fingerprint(tables: FeatureTables) -> str:
    """Another one as soon as the photos are others, or were seen otherwise."""
    text = f"{tables.index.fingerprint} {tables.index.origin.text()}"
    return hashlib.sha256(text.encode()).hexdigest()
