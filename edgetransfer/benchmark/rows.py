"""From the records of turns to the rows of the report."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgetransfer.benchmark.contestants import Contestant
from edgetransfer.benchmark.doubts import (
    BUSY,
    Round,
    clean_rounds,
    disturbance,
    doubts_of,
    is_disturbed,
)
from edgetransfer.benchmark.paired import paired_test, seed_interval
from edgetransfer.benchmark.statistics import median_interval
from edgetransfer.metrics import STAGES
from edgetransfer.metrics.transfer import mean_and_standard_error, relative_error_increase
from edgetransfer.reports.train import MetricName
from edgetransfer.settings.shared import EngineName


@dataclass(kw_only=True)
class Cell:
    """One backbone in one engine on one data set, and what was measured of it.

    Parameters
    ----------
    engine
        As asked for; the records say which it was.
    records
        By round.
    metric
        The accuracy that counts on the data set, of the gap and the relative error increase.
    reason
        Why it could not be measured, else None.
    """

    contestant: Contestant
    engine: EngineName
    data: str
    metric: MetricName = "top1"
    records: dict[Round, dict[str, Any]] = field(default_factory=dict)
    reason: str | None = None

    @property
    def seconds(self) -> float | None:
        """The median epoch of those that count; None if there is none."""
        if not self.records or self.reason is not None:
            return None
        return float(statistics.median(record["seconds"] for record in self.counted))

    @property
    def counted(self) -> list[dict[str, Any]]:
        """The records that nothing disturbed, if they are half or more; else all."""
        return [self.records[at] for at in clean_rounds(self.records, self.records)]


def rows_of(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """A row for each cell, in order."""
    return [_row(cell, _baselines_of(cell, cells)) for cell in cells]


def _baselines_of(cell: Cell, cells: Sequence[Cell]) -> list[Cell]:
    """The cell's dense baseline on the same data in each engine that ran it, fastest first."""
    measured = [
        other
        for other in cells
        if other.contestant.name == cell.contestant.baseline
        and other.data == cell.data
        and other.seconds is not None
    ]
    return sorted(measured, key=lambda other: other.seconds or 0.0)


def _row(cell: Cell, baselines: Sequence[Cell]) -> dict[str, Any]:
    contestant = cell.contestant
    row: dict[str, Any] = {
        "backbone": contestant.name,
        "sparsity": contestant.backbone.sparsity,
        "engine": cell.engine,
        "precision": contestant.precision,
        "data": cell.data,
        "seconds_per_epoch": None,
        "fraction_of_baseline": None,
        "fraction_in_engine": None,
        "speedup": None,
        "speedup_interval": None,
        "efficiency": None,
        "stages": None,
        "top1": None,
        "mean_per_class": None,
        "metric": cell.metric,
        "accuracy": None,
        "accuracy_gap": None,
        "accuracy_gap_interval": None,
        "accuracy_test": None,
        "peak_memory_bytes": None,
        "baseline": contestant.baseline == contestant.name,
        "synthetic": contestant.is_synthetic,
        "published": contestant.published_report,
        "doubts": [],
        "epochs": [],
        "reason": cell.reason,
    }
    if cell.reason is not None or not cell.records:
        return row
    records = cell.counted
    # What the parts do alone was measured at another time than the epoch.
    quiet = [r for r in records if r["floor"].get("other_load", 0.0) <= BUSY] or records

    def median(*names: str) -> float:
        chosen = quiet if names[0] == "floor" else records
        return statistics.median(_value(record, names) for record in chosen)

    row |= {
        "engine": records[0]["engine"]["name"],
        "engine_version": records[0]["engine"]["version"],
        "engine_reason": records[0]["engine"]["reason"],
        "seconds_per_epoch": median_interval([r["seconds"] for r in records]),
        "efficiency": statistics.median(
            r["images"] / r["seconds"] / r["floor"]["rate"] for r in quiet
        ),
        "stages": {name: median("stages", name) for name in STAGES},
        "cpu_seconds": median("cpu_seconds"),
        "forward_wall": median("forward_wall"),
        "turns": len(records),
        "turns_taken": len(cell.records),
        "plan": records[0].get("plan"),
        "images": records[0]["images"],
        "images_per_second": {
            "pipeline": statistics.median(r["images"] / r["seconds"] for r in records),
            "engine_alone": median("floor", "engine"),
            "decoding_alone": median("floor", "decoding"),
        },
        "peak_memory_bytes": max(r["peak_memory_bytes"] or 0 for r in records) or None,
        "other_load": median("other_load"),
        "contention": statistics.median(r.get("contention", 0.0) for r in records),
        "skipped": records[0]["n_skipped"],
        "epochs": [_epoch(at, record) for at, record in cell.records.items()],
        **_accuracy(cell),
    }
    for baseline in baselines:
        if baseline.engine == cell.engine:
            row["fraction_in_engine"] = median_interval(_fractions(cell, baseline))
    if baselines:
        row |= _against(cell, baselines[0], row)
        dense = baselines[0].records
        row["doubts"] = doubts_of(cell.records, dense, row, is_baseline=row["baseline"])
    if any(doubt["withholds"] for doubt in row["doubts"]):
        row |= dict.fromkeys(TOLD_OF_SPEED)
    return row


TOLD_OF_SPEED = (
    *("fraction_of_baseline", "fraction_in_engine", "speedup", "speedup_interval", "ceiling"),
    "efficiency",
)


def _epoch(at: Round, record: dict[str, Any]) -> dict[str, Any]:
    """One timed epoch, as the report lists it."""
    return {
        "seed": at[0],
        "epoch": at[1],
        "at": record.get("at"),
        "place": record.get("place"),
        "seconds": record["seconds"],
        "other_load": record["other_load"],
        "disturbance": disturbance(record),
        "disturbed": is_disturbed(record),
        "clock": record.get("clock"),
        "takes": record.get("takes", 1),
    }


def _value(record: dict[str, Any], names: Sequence[str]) -> float:
    value: Any = record
    for name in names:
        value = value[name]
    return float(value)


def _accuracy(cell: Cell) -> dict[str, Any]:
    """The means over the seeds; None for random weights."""
    own = list(_scores(cell, cell.metric).values())
    return {
        **{
            name: statistics.mean(values)
            if (values := list(_scores(cell, name).values()))
            else None
            for name in ("top1", "mean_per_class")
        },
        "accuracy": {**seed_interval(own), "seeds": len(own)} if own else None,
    }


def _scores(cell: Cell, metric: str) -> dict[int, float]:
    """The accuracy of each seed's training that has come to its end."""
    return {seed: r[metric] for (seed, _), r in cell.records.items() if metric in r}


def _fractions(cell: Cell, baseline: Cell) -> list[float]:
    """Epochs over the baseline's, round by round, so that the machine's drift cancels."""
    return [
        cell.records[at]["seconds"] / baseline.records[at]["seconds"]
        for at in clean_rounds(cell.records, baseline.records)
    ]


def _against(cell: Cell, baseline: Cell, row: dict[str, Any]) -> dict[str, Any]:
    """The comparison with the baseline."""
    fraction = median_interval(_fractions(cell, baseline))
    # As the paper has it: the mean epoch over the baseline's mean epoch.
    counted = clean_rounds(cell.records, baseline.records)
    fraction["mean"] = statistics.mean(cell.records[at]["seconds"] for at in counted) / (
        statistics.mean(baseline.records[at]["seconds"] for at in counted)
    )
    # If the backbone cost nothing, decoding alone would still take this long.
    decoding = row["images"] / row["images_per_second"]["decoding_alone"]
    compared: dict[str, Any] = {
        "baseline_backbone": baseline.contestant.name,
        "baseline_engine": next(iter(baseline.records.values()))["engine"]["name"],
        "fraction_of_baseline": fraction,
        "speedup": 1 / fraction["median"],
        "speedup_interval": [1 / fraction["high"], 1 / fraction["low"]],
        "ceiling": (baseline.seconds or 0.0) / decoding,
    }
    own, dense = _scores(cell, cell.metric), _scores(baseline, cell.metric)
    seeds = sorted(own.keys() & dense.keys())
    if seeds and not row["baseline"]:
        gaps = seed_interval([dense[s] - own[s] for s in seeds])
        compared["accuracy_gap"] = gaps["mean"]
        if gaps["low"] is not None:
            compared["accuracy_gap_interval"] = [gaps["low"], gaps["high"]]
        compared["accuracy_test"] = paired_test(
            _tested(baseline, seeds), _tested(cell, seeds), cell.metric
        )
        increases = [relative_error_increase(own[s], dense[s]) for s in seeds]
        if None not in increases:
            compared["relative_error_increase"] = statistics.mean(
                i for i in increases if i is not None
            )
    elif seeds:
        compared["accuracy_gap"] = 0.0
    return compared


def _tested(cell: Cell, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Which photos each seed's training got right; none of an older version's records."""
    found = {seed: r["tested"] for (seed, _), r in cell.records.items() if "tested" in r}
    return [found[seed] for seed in seeds] if found.keys() >= set(seeds) else []


def error_increases(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The relative error increase of each backbone and engine, over the data sets."""
    by_backbone: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        increase = row.get("relative_error_increase")
        if increase is not None:
            by_backbone.setdefault((row["backbone"], row["engine"]), []).append(increase)
    found = []
    for (backbone, engine), values in by_backbone.items():
        mean, error = mean_and_standard_error(values)
        found.append(
            {
                "backbone": backbone,
                "engine": engine,
                "mean": mean,
                "standard_error": error,
                "data_sets": len(values),
            }
        )
    return found
