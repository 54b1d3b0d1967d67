"""A training by `pretrain`, epoch by epoch: masks (thesis 3.4.2) and memory (thesis 3.6.2)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from edgetransfer.errors import DataError
from edgetransfer.pretrain.places import CHECKPOINT, report_path, work_path
from edgetransfer.reports.analyse import (
    AnalysedEpochRecord,
    AnalysedTrainingRecord,
    SawToothRecord,
)
from edgetransfer.untrusted_json import json_value

LEGS = ("training", "twin")


def is_in_training(path: Path) -> bool:
    """Whether an interrupted training is there in place of a file."""
    return not path.exists() and (work_path(path) / CHECKPOINT).is_file()


def training_of(path: Path, sha256: str | None) -> AnalysedTrainingRecord | None:
    """What is known of how a file was trained; None if nothing is, or it is of another file.

    Parameters
    ----------
    sha256
        Of the file; None where it is still in training.

    Raises
    ------
    DataError
        If the report or the checkpoint cannot be read.
    """
    if sha256 is None:
        return _interrupted(work_path(path) / CHECKPOINT)
    report = report_path(path)
    if not report.is_file():
        return None
    try:
        found = json_value(report.read_text(encoding="utf-8"))
        if found["sha256"] != sha256:
            return None
        twin = found["twin"]["epochs"] if found["twin"] else []
        return described(found["policy"], [found["epochs"], twin])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{report}: is no report of edgetransfer pretrain ({error!r}); remove it, or train "
            "again"
        ) from error


def _interrupted(path: Path) -> AnalysedTrainingRecord:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            found = json_value((file.metadata() or {})["progression"])
        return described(found["settings"]["policy"], found["history"], finished=False)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the checkpoint cannot be read ({error})") from error


def described(
    policy: str, legs: Sequence[Sequence[Mapping[str, Any]]], *, finished: bool = True
) -> AnalysedTrainingRecord:
    """A training by its epochs' records, those of its dense twin behind."""
    epochs = [
        _epoch(record, leg) for leg, records in zip(LEGS, legs, strict=True) for record in records
    ]
    moved = [e["mask_iou"] for e in epochs if e["mask_iou"] is not None and e["mask_iou"] < 1]
    return {
        "policy": policy,
        "finished": finished,
        "epochs": epochs,
        "masks": len(moved),
        "mean_iou": fmean(moved) if moved else None,
        "saw_tooth": saw_tooth([e for e in epochs if e["leg"] == LEGS[0]]),
    }


def _epoch(record: Mapping[str, Any], leg: str) -> AnalysedEpochRecord:
    return {
        "leg": leg,
        "epoch": record["epoch"],
        "phase": record["phase"],
        "top1": record.get("top1"),
        "sparsity": record["sparsity"],
        "mask_iou": record.get("mask_iou"),
        "revived": record.get("mask_change"),
        "memorised": record.get("memorised"),
        "true_class": record.get("true_class"),
    }


def ends_of_phases(epochs: Sequence[AnalysedEpochRecord]) -> list[AnalysedEpochRecord]:
    """The last epoch of each phase."""
    parts = itertools.groupby(epochs, key=lambda epoch: (epoch["leg"], epoch["phase"]))
    return [list(part)[-1] for _, part in parts]


def saw_tooth(epochs: Sequence[AnalysedEpochRecord]) -> SawToothRecord | None:
    """How much more is memorised at the end of a dense phase than of the sparse one before it."""
    pairs = [
        (sparse, dense)
        for sparse, dense in itertools.pairwise(ends_of_phases(epochs))
        if (sparse["phase"], dense["phase"]) == ("sparse", "dense")
    ]

    def mean(key: Literal["memorised", "true_class"], place: int) -> float | None:
        found = [pair[place][key] for pair in pairs]
        known = [value for value in found if value is not None]
        return fmean(known) if known and len(known) == len(found) else None

    sparse, dense = mean("memorised", 0), mean("memorised", 1)
    before, after = mean("true_class", 0), mean("true_class", 1)
    if sparse is None or dense is None or before is None or after is None:
        return None
    return {
        "dense": dense,
        "sparse": sparse,
        "step": dense - sparse,
        "truth": after - before,
        "phases": len(pairs),
    }
