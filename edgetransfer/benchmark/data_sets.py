"""The data sets of a benchmark, opened and read through once."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgetransfer.benchmark.folder import BenchmarkFolder
from edgetransfer.benchmark.turn import tested_on
from edgetransfer.data import DataSplits
from edgetransfer.metrics.conventions import Metric, metric_of
from edgetransfer.paths import without_query
from edgetransfer.settings.benchmark import HELD_OUT, BenchmarkSettings
from edgetransfer.train.inputs import stamp_of
from edgetransfer.train.opening import load_splits
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)

CONTENT = "content.json"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set of the benchmark, under a name that no other has."""

    name: str
    path: Path
    splits: DataSplits
    held_out: float
    metric: Metric

    def description(self, settings: BenchmarkSettings) -> dict[str, Any]:
        """What the report says of it."""
        n_train = len(self.splits.train)
        return {
            "name": self.name,
            "n_classes": len(self.splits.classes),
            "n_train": n_train,
            "images_per_epoch": min(n_train, settings.images or n_train),
            "n_test": 0 if settings.is_all_synthetic else len(tested_on(self.splits)),
            "held_out": self.held_out,
            "metric": asdict(self.metric),
        }


def open_data(settings: BenchmarkSettings, index: int) -> DataSet:
    """Open one of the data sets; where it has no test photos, a fifth is held out.

    Raises
    ------
    DataError
        If it cannot be used.
    """
    path = settings.data[index]
    training = settings.training("", path, "auto", seed=0)
    splits, held_out = load_splits(training), 0.0
    if not tested_on(splits) and not settings.is_all_synthetic:
        held_out = HELD_OUT
        splits = load_splits(settings.training("", path, "auto", seed=0, val_fraction=held_out))
        logger.info("%s: no test split; a fifth of each class is held out to test on", path)
    names = [without_query(p).resolve().name for p in settings.data]
    name = names[index]
    if names.count(name) > 1:
        name = f"{name} ({names[: index + 1].count(name)})"
    return DataSet(
        name=name,
        path=path,
        splits=splits,
        held_out=held_out,
        metric=metric_of(training.metric, training.data),
    )


def read_through(
    folder: BenchmarkFolder, data: DataSet, progress: Progress, *, again: bool
) -> dict[str, Any]:
    """Read every photo once: ``sha256`` of them all, ``bytes`` and ``photos``.

    So no backbone, least of all the first, waits for a disk where another finds the photos in
    memory. Where nothing is left to measure (not ``again``), what was found before is taken.
    """
    stamp = stamp_of(data.splits)
    known = folder.kept(CONTENT).get(data.name)
    if known is not None and known["stamp"] == stamp and not again:
        return dict(known)
    samples = [*data.splits.train, *data.splits.val, *data.splits.test]
    digest, size = hashlib.sha256(), 0
    for done, sample in enumerate(samples, 1):
        try:
            content = sample.read()
        except OSError:  # counted where it is decoded
            content = b""
        digest.update(hashlib.sha256(content).digest())
        size += len(content)
        progress(f"reading {data.name}", done, len(samples))
    found = {"stamp": stamp, "sha256": digest.hexdigest(), "bytes": size, "photos": len(samples)}
    folder.keep(CONTENT, data.name, found)
    return found
