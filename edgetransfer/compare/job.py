"""From settings to a folder of runs and what they show."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgetransfer.atomic import write_atomically
from edgetransfer.compare.contestants import (
    Contestant,
    Task,
    open_contestants,
    own_name,
    photo_task,
)
from edgetransfer.compare.judging import Results, advice, alpha_of, difficulty, result_of
from edgetransfer.compare.running import Cell, cells, is_done, run
from edgetransfer.compare.table_tasks import table_tasks
from edgetransfer.compare.writing import write_all
from edgetransfer.errors import RunFolderError, TakenError, UsageError
from edgetransfer.features.table_folder import is_table_folder
from edgetransfer.names import json_text
from edgetransfer.reports.compare import CompareRecord
from edgetransfer.runs.owning import NAME as LOCK
from edgetransfer.runs.owning import is_empty, owned
from edgetransfer.settings.compare import ComparisonSettings
from edgetransfer.settings.config import differs, dump
from edgetransfer.types import Progress, no_progress
from edgetransfer.untrusted_json import json_value

CONFIG, RUNS = "compare.json", "runs"
# What may be more or less from call to call: each run is there for itself.
GROWING = frozenset(("baseline", "backbones", "data", "seeds", "transfer", "threads"))


def compare(
    settings: ComparisonSettings, *, overwrite: bool = False, progress: Progress = no_progress
) -> CompareRecord:
    """Train on every data set with every backbone, and write what comes of it; returns the report.

    Runs that are there are taken, one that was interrupted goes on; further backbones, data sets
    and seeds may be asked for later.

    Raises
    ------
    EdgeTransferError
        If a backbone, a data set, the folder or a training fails.
    """
    _check(settings.out)
    contestants = open_contestants(settings)
    tasks = _tasks(settings, contestants)
    with owned(settings.out, "compare"):
        _begin(settings, overwrite=overwrite)
        results = _results(settings, contestants, tasks, progress)
        report = _report(settings, contestants, tasks, results)
        write_all(report, settings.out)
    return report


def _tasks(settings: ComparisonSettings, contestants: Sequence[Contestant]) -> list[Task]:
    """The data sets of photos and then those of features, under names that no other has."""
    folders = [path for path in settings.data if is_table_folder(path)]
    tasks = [photo_task(settings, path) for path in settings.data if path not in folders]
    named: list[Task] = []
    for task in [*tasks, *table_tasks(settings, folders, contestants)]:
        name = own_name(task.name, [other.name for other in named])
        named.append(replace(task, name=name))
    return named


def _results(
    settings: ComparisonSettings,
    contestants: Sequence[Contestant],
    tasks: Sequence[Task],
    progress: Progress,
) -> Results:
    wanted = list(cells(settings, list(contestants), list(tasks)))
    done = sum(is_done(cell, settings.out) for cell in wanted)
    reports = {}
    for cell in wanted:
        waits = not is_done(cell, settings.out)
        if waits:
            progress(cell.title, done, len(wanted))
        reports[cell] = run(cell, settings)
        done += waits
    progress("trained", len(wanted), len(wanted))
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in wanted:
        key = (cell.transfer, cell.task.name, cell.contestant.name)
        groups.setdefault(key, []).append(cell)
    return {
        (group[0].transfer, data, backbone): result_of(group, [reports[cell] for cell in group])
        for (_, data, backbone), group in groups.items()
    }


def _report(
    settings: ComparisonSettings,
    contestants: Sequence[Contestant],
    tasks: Sequence[Task],
    results: Results,
) -> CompareRecord:
    dense, others = contestants[0], contestants[1:]
    return {
        "baseline": dense.name,
        "seeds": settings.seeds,
        "backbones": [contestant.record for contestant in contestants],
        "data": [
            {
                "name": task.name,
                "metric": task.metric.name,
                "tested_on": task.tested_on,
                "held_out": task.held_out,
                "difficulty": difficulty(results, task, dense),
            }
            for task in tasks
        ],
        "results": [
            results[transfer, task.name, contestant.name].record(
                results[transfer, task.name, dense.name]
            )
            for transfer in settings.transfers
            for task in tasks
            for contestant in contestants
        ],
        "alphas": [
            alpha_of(results, transfer, other, tasks, dense)
            for transfer in settings.transfers
            for other in others
        ],
        "advice": [
            advice(results, transfer, contestants, tasks) for transfer in settings.transfers
        ],
    }


def _check(out: Path) -> None:
    """Refuse a place that holds something else."""
    if out.exists() and not out.is_dir():
        raise TakenError(f"{out}: a file of that name is in the way; choose another --out")
    if out.is_dir() and not is_empty(out) and not (out / CONFIG).is_file():
        if (out / LOCK).exists():
            return  # who wants to own it is told
        raise TakenError(f"{out}: not empty, and not a comparison's folder; choose another --out")


def _delete(runs: Path) -> None:
    """All of them, or none is trained: one that stayed would be taken for one of these settings."""
    try:
        if runs.exists():
            shutil.rmtree(runs)
    except OSError as error:
        raise RunFolderError(
            f"{error.filename or runs}: cannot be deleted: {error.strerror or error}; delete it, "
            "or choose another --out"
        ) from error


def _begin(settings: ComparisonSettings, *, overwrite: bool) -> None:
    path = settings.out / CONFIG
    now = json.loads(json.dumps(dump(settings)))
    if path.is_file() and overwrite:
        _delete(settings.out / RUNS)
    elif path.is_file():
        try:
            before = json_value(path.read_text(encoding="utf-8"))
        except ValueError:
            raise RunFolderError(
                f"{path}: damaged; --overwrite begins anew, and deletes the runs"
            ) from None
        found = differs(ComparisonSettings, now, before, free=GROWING)
        if found is not None:
            raise UsageError(
                f"{settings.out}: {found}; choose another --out, or --overwrite to delete its runs "
                "and begin anew"
            )
    write_atomically(path, (json_text(now, indent=2) + "\n").encode())
