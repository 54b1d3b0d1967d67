"""A head from very many rows of features: synthetic tables as `extract` writes them, then `train`.

    python benchmarks/tables.py --rows 1000000 --out /tmp/tables

Prints, of each step, seconds and processor seconds, and the peak memory of `train`, which should
not depend on how many rows there are. Classes are Gaussian; labels, splits and ids are made up.
Tables that are there already are kept, so that more rows can be added.

``--on-demand`` writes no tables: each is a function of its number, made anew whenever `train` reads
a group of its rows, so that 10 million rows need no disk. Statistics, which `extract` would have
written beside each, are made by as many processes as `--processes` says while `train` adds them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from edgetransfer.backbones import Backbone
from edgetransfer.features.part_statistics import (
    add_rows,
    computed,
    save_statistics,
    statistics_beside,
)
from edgetransfer.features.table_folder import FeatureTables
from edgetransfer.features.table_index import Index, n_parts, part_name
from edgetransfer.features.tables import (
    ENDING,
    ROWS_PER_GROUP,
    Origin,
    TableFile,
    TableRows,
    write_table,
)
from edgetransfer.heads import Statistics
from edgetransfer.settings.extract import INDEX
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train import table_job, table_training

TEST_SHARE, TESTED_ONE_IN = 0.5, 64  # of the rows of each so manieth table


def origin_of(backbone: Backbone, name: str, dtype: str) -> Origin:
    return Origin(
        backbone=name,
        identity=backbone.identity,
        preprocessing=backbone.preprocessing,
        tensor=backbone.cut.tensor,
        engine="sparse",
        engine_version="synthetic",
        dimension=backbone.dimension,
        dtype=dtype,
    )


@lru_cache(maxsize=1)
def names_of(number: int, n: int, classes: int, test_share: float) -> tuple[np.ndarray, dict]:
    """Labels of a table's rows by number, and its columns but the features."""
    rng = np.random.default_rng([7, number])
    labels = rng.integers(0, classes, n)
    share = test_share if number % TESTED_ONE_IN == 0 else 0.0
    test = rng.random(n) < share
    return labels, {
        "id": [f"{number}/{i}.jpg" for i in range(n)],
        "label": [f"class {label:03d}" for label in labels],
        "split": ["test" if one else "train" for one in test],
        "problem": [None] * n,
    }


def rows_of(number: int, n: int, means: np.ndarray, group: int | None = None) -> TableRows:
    """The rows of a table, or of one of its groups."""
    labels, names = names_of(number, n, len(means), TEST_SHARE)
    groups = range(-(-n // ROWS_PER_GROUP)) if group is None else [group]
    features = []
    for one in groups:
        own = labels[one * ROWS_PER_GROUP : (one + 1) * ROWS_PER_GROUP]
        rng = np.random.default_rng([7, number, one])
        noise = rng.standard_normal((len(own), means.shape[1]), np.float32)
        features.append(np.maximum(means[own] + noise + 1, 0))  # as after a ReLU
    first = groups[0] * ROWS_PER_GROUP
    kept = slice(first, first + sum(map(len, features)))
    return TableRows(
        ids=names["id"][kept],
        labels=names["label"][kept],
        splits=names["split"][kept],
        features=np.concatenate(features),
        problems={},
    )


def kept_as(rows: TableRows, dtype: str) -> TableRows:
    """Rows as they are read again from a table of such a type."""
    return replace(rows, features=rows.features.astype(dtype).astype(np.float32))


class MadeTable(TableFile):
    """A table that is a function of its number; reads as one on disk does."""

    def __init__(self, path: Path, number: int, n: int, means: np.ndarray, origin: Origin) -> None:
        self.path, self.origin = path, origin
        self._number, self._n, self._means = number, n, means

    def __len__(self) -> int:
        return self._n

    @property
    def groups(self) -> int:
        return -(-self._n // ROWS_PER_GROUP)

    def group_size(self, number: int) -> int:
        return min(ROWS_PER_GROUP, self._n - number * ROWS_PER_GROUP)

    def columns(self, *names: str) -> dict[str, list]:
        made = names_of(self._number, self._n, len(self._means), TEST_SHARE)[1]
        return {name: made[name] for name in names}

    def group(self, number: int) -> TableRows:
        rows = rows_of(self._number, self._n, self._means, number)
        return kept_as(rows, self.origin.dtype)


def _statistics(task: tuple[MadeTable, tuple[str, ...]]) -> Statistics:
    with threadpool_limits(1):
        return computed(*task)


def _ahead(
    pool: Pool, files: list[MadeTable], classes: tuple[str, ...], most: int
) -> Iterator[Statistics]:
    """The statistics of tables in their order, at most so many made before they are asked for."""
    waiting: deque[AsyncResult] = deque()
    for file in files:
        waiting.append(pool.apply_async(_statistics, [(file, classes)]))
        if len(waiting) == most:
            yield waiting.popleft().get()
    while waiting:
        yield waiting.popleft().get()


def train_on_demand(args: argparse.Namespace, index: Index, means: np.ndarray) -> dict:
    """`train` in this process, with tables that are made as they are read."""
    files = []
    for number, name in enumerate(index.names()):
        n = min(args.table, args.rows - number * args.table)
        path = args.out / f"{name}{ENDING}"
        path.touch()
        files.append(MadeTable(path, number, n, means, index.origin))
    tables = FeatureTables(folder=args.out, index=index, files=tuple(files))
    table_training.open_tables = lambda _folder: tables
    began = last = time.monotonic()

    def progress(stage: str, done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last > 60:
            last = time.monotonic()
            row = {"stage": stage, "done": done, "of": of, "seconds": round(last - began)}
            print(json.dumps(row), flush=True)

    run = args.out.with_name(f"{args.out.name}-run")
    settings = LinearTraining(data=args.out, out=run, backbone=args.backbone)
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        made = _ahead(pool, files, index.classes, 2 * args.processes)
        table_job.statistics_of = lambda _file, _classes: next(made)
        return table_training.train_on_tables(settings, overwrite=True, progress=progress)


def used(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--table", type=int, default=16384)
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--backbone", default="efficientnet-lite0-50")
    parser.add_argument("--on-demand", action="store_true")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    backbone = Backbone.open(args.backbone)
    origin = origin_of(backbone, args.backbone, args.dtype)
    classes = tuple(f"class {i:03d}" for i in range(args.classes))
    means = np.random.default_rng(7).normal(0, 0.12, (args.classes, backbone.dimension))
    means = means.astype(np.float32)
    args.out.mkdir(parents=True, exist_ok=True)
    began, spent, statistics_spent, made = time.monotonic(), used(resource.RUSAGE_SELF), 0.0, 0
    for number in range(0 if args.on_demand else n_parts(args.rows, args.table)):
        table = args.out / f"{part_name(number)}{ENDING}"
        n = min(args.table, args.rows - number * args.table)
        if table.exists():
            continue
        rows = kept_as(rows_of(number, n, means), args.dtype)
        before = used(resource.RUSAGE_SELF)
        statistics = Statistics(origin.dimension, len(classes))
        add_rows(statistics, rows, {name: i for i, name in enumerate(classes)})
        save_statistics(statistics_beside(table), statistics, classes, origin)
        statistics_spent += used(resource.RUSAGE_SELF) - before
        write_table(table, rows, origin)
        made += n
    index = Index(
        origin=origin,
        classes=classes,
        photos=args.rows,
        rows=args.table,
        fingerprint=f"synthetic {args.rows}",
        data="synthetic",
    )
    (args.out / INDEX).write_text(index.text())
    row = {
        "made": made,
        "seconds": time.monotonic() - began,
        "processor": used(resource.RUSAGE_SELF) - spent,
        "statistics_ms_a_row": 1000 * statistics_spent / max(1, made),
    }
    if not args.on_demand:
        print(json.dumps(row), flush=True)
    if args.on_demand:
        began, spent = time.monotonic(), used(resource.RUSAGE_SELF)
        report = train_on_demand(args, index, means)
        row = {
            "rows": args.rows,
            "seconds": time.monotonic() - began,
            "processor": used(resource.RUSAGE_SELF) - spent + used(resource.RUSAGE_CHILDREN),
            "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            "peak_gib_of_a_maker": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
            "top1": report["final"]["top1"],
        }
        print(json.dumps(row))
        return
    run = args.out.with_name(f"{args.out.name}-run")
    began, spent = time.monotonic(), used(resource.RUSAGE_CHILDREN)
    call = ["train", "--data", str(args.out), "--out", str(run), "--overwrite", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "edgetransfer", *call], check=True, capture_output=True
    )
    report = json.loads(done.stdout.splitlines()[-1])
    row = {
        "rows": args.rows,
        "seconds": time.monotonic() - began,
        "processor": used(resource.RUSAGE_CHILDREN) - spent,
        "peak_gib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20,
        "top1": report["final"]["top1"],
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
