"""As `edgetransfer.train.gathering`, of tables of features: without the photos themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetransfer.data import DataSplits, Sample, Stored
from edgetransfer.errors import DataError
from edgetransfer.features import FeatureTable
from edgetransfer.features.table_folder import open_tables
from edgetransfer.findings import Scored, unseen
from edgetransfer.heads import LinearHead
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.gathering import Gathered
from edgetransfer.train.left_out import fitted_honestly, left_out
from edgetransfer.train.opening import limited_threads
from edgetransfer.types import Float32Array, Progress, no_progress

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Stored):
    """A photo of which only the features are here."""

    __repr__ = short_repr

    def read(self) -> bytes:
        """See `Stored.read`: it cannot be."""
        raise OSError("only its features are here")

    @property
    def size(self) -> int:
        """See `Stored.size`: it is not known."""
        return len(self.read())

    @property
    def stamp(self) -> str:
        """See `Stored.stamp`: there is none."""
        return str(self.size)


def gathered_tables(
    settings: LinearTraining,
    folder: Path,
    *,
    head: LinearHead | None = None,
    progress: Progress = no_progress,
) -> Gathered:
    """Score the rows of a folder that `extract` made; all of their features are in memory.

    Parameters
    ----------
    settings
        How to fit heads to what is left out.
    head
        What tests the rows of other splits; a head in closed form that is fitted here if None.

    Raises
    ------
    DataError
        If tables are missing or damaged, or there is nothing to learn from.
    """
    tables = open_tables(folder)
    tables.check_ids(progress)
    classes = tables.index.classes
    number = {name: i for i, name in enumerate(classes)}
    samples: dict[str, list[Sample]] = {split: [] for split in SPLITS}
    features: dict[str, list[Float32Array]] = {split: [] for split in SPLITS}
    skipped: list[SkippedRecord] = []
    for done, file in enumerate(tables.files, 1):
        for rows in file.rows():
            skipped += [
                {"id": rows.ids[place], "reason": reason} for place, reason in rows.problems.items()
            ]
            for split in SPLITS:
                own = rows.labelled(split)
                features[split].append(rows.features[own])
                samples[split] += [
                    Sample(id=rows.ids[i], source=Elsewhere(), label=number[rows.labels[i]])
                    for i in own
                ]
        progress("tables", done, len(tables.files))
    if len({sample.label for sample in samples["train"]}) < 2:
        raise DataError(f"{folder}: an audit needs training rows of at least two classes")
    parts: list[Scored] = []
    with limited_threads(settings.threads):
        train = FeatureTable(
            labels=np.array([sample.label for sample in samples["train"]], np.int64),
            features=np.concatenate(features["train"]),
            computed=0,
        )
        fitted, honest = fitted_honestly(settings, train, classes, progress)
        parts.append(left_out(samples["train"], train, honest))
        tester = fitted.head if head is None else head
        for split in ("val", "test"):
            if samples[split]:
                rows_of_split = np.concatenate(features[split])
                scores = tester.predict_proba(rows_of_split)
                parts.append(unseen(split, samples[split], rows_of_split, scores))
    return Gathered(
        parts=tuple(parts),
        splits=DataSplits(
            classes=classes,
            train=tuple(samples["train"]),
            val=tuple(samples["val"]),
            test=tuple(samples["test"]),
        ),
        skipped=skipped,
        engine=tables.index.origin.engine,
    )
