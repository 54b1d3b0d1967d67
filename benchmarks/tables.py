"""A head from very many rows of features: synthetic tables as `extract` writes them, then `train`.

    python benchmarks/tables.py --rows 1000000 --out /tmp/tables

Prints, of each step, seconds and processor seconds, and the peak memory of `train`, which should
not depend on how many rows there are. Classes are Gaussian; labels, splits and ids are made up.
Tables that are there already are kept, so that more rows can be added.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.features.part_statistics import add_rows, save_statistics, statistics_beside
from edgetransfer.features.table_index import Index, n_parts, part_name
from edgetransfer.features.tables import ENDING, Origin, TableRows, write_table
from edgetransfer.heads import Statistics
from edgetransfer.settings.extract import INDEX


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


def rows_of(number: int, n: int, means: np.ndarray, test_share: float) -> TableRows:
    rng = np.random.default_rng([7, number])
    labels = rng.integers(0, len(means), n)
    features = means[labels] + rng.standard_normal((n, means.shape[1]), np.float32)
    test = rng.random(n) < test_share
    return TableRows(
        ids=[f"{number}/{i}.jpg" for i in range(n)],
        labels=[f"class {label:03d}" for label in labels],
        splits=["test" if one else "train" for one in test],
        features=np.maximum(features + 1, 0).astype(np.float32),  # as after a ReLU
        problems={},
    )


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
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    backbone = Backbone.open(args.backbone)
    origin = origin_of(backbone, args.backbone, args.dtype)
    classes = tuple(f"class {i:03d}" for i in range(args.classes))
    means = np.random.default_rng(7).normal(0, 0.12, (args.classes, backbone.dimension))
    args.out.mkdir(parents=True, exist_ok=True)
    began, spent, statistics_spent, made = time.monotonic(), used(resource.RUSAGE_SELF), 0.0, 0
    for number in range(n_parts(args.rows, args.table)):
        table = args.out / f"{part_name(number)}{ENDING}"
        n = min(args.table, args.rows - number * args.table)
        if table.exists():
            continue
        rows = rows_of(number, n, means.astype(np.float32), 0.01)
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
    print(json.dumps(row), flush=True)
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
