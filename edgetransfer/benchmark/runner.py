"""The benchmark itself: rounds of turns, resumed from what is on disk."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from edgetransfer.benchmark.child import TurnFailedError, measure_turn
from edgetransfer.benchmark.contestants import Contestant, open_files, with_synthetic
from edgetransfer.benchmark.families import with_known_families
from edgetransfer.benchmark.folder import PAGE, REPORT, RESULTS, SYNTHETIC, TABLE, BenchmarkFolder
from edgetransfer.benchmark.machine_state import machine_identity, machine_state
from edgetransfer.benchmark.rows import Cell, Round, error_increases, rows_of
from edgetransfer.benchmark.turn import TurnRequest, tested_on
from edgetransfer.charts.benchmark_page import benchmark_page
from edgetransfer.charts.benchmark_plots import benchmark_plots, can_plot
from edgetransfer.charts.benchmark_tables import results_csv, results_tex
from edgetransfer.data import DataSplits
from edgetransfer.metrics.conventions import Metric, metric_of
from edgetransfer.runs.owning import owned
from edgetransfer.settings.benchmark import HELD_OUT, BenchmarkSettings
from edgetransfer.settings.recipe import recipe_record, warning_of
from edgetransfer.train.inputs import stamp_of
from edgetransfer.train.opening import load_splits
from edgetransfer.types import Progress, no_progress

logger = logging.getLogger(__name__)

Measure = Callable[[TurnRequest, Progress], dict[str, Any]]

DENSE = 0.3  # share of zeros that a dense backbone may have by chance or by quantisation
BUSY = 0.05  # share of the cores that others may take before it is worth a warning


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


def run_benchmark(
    settings: BenchmarkSettings,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
    measure: Measure = measure_turn,
) -> dict[str, Any]:
    """Measure what is not measured yet, and write the report; returns it.

    Everything that can be wrong with the call is found before anything is measured. A benchmark
    that was interrupted goes on when it is called again.

    Parameters
    ----------
    measure
        Takes one turn; in a process of its own if nothing else is given.

    Raises
    ------
    EdgeTransferError
        If a backbone or the data cannot be used, or the folder holds something else. A backbone
        that an engine cannot take is no error, but a row with a reason.
    """
    settings = with_known_families(settings)
    folder = BenchmarkFolder(settings.out)
    folder.check()
    files = open_files(settings)
    data = [_open_data(settings, index) for index in range(len(settings.data))]
    if files and files[0].backbone.sparsity > DENSE:
        logger.warning(
            "%s: the baseline is itself sparse: %.0f %% of its weights are zero",
            *(files[0].name, 100 * files[0].backbone.sparsity),
        )
    with owned(settings.out, "benchmark"):
        return _run(settings, folder, files, data, overwrite, progress, measure)


def _run(
    settings: BenchmarkSettings,
    folder: BenchmarkFolder,
    files: Sequence[Contestant],
    data: Sequence[DataSet],
    overwrite: bool,
    progress: Progress,
    measure: Measure,
) -> dict[str, Any]:
    machine = machine_state()
    folder.begin(
        {
            **settings.to_config(),
            "sha256": [contestant.backbone.sha256 for contestant in files],
            "content": [d.splits.fingerprint for d in data],
            "photos": [stamp_of(d.splits) for d in data],
            **machine_identity(machine),
        },
        overwrite=overwrite,
    )
    departed = settings.training("", settings.data[0], "auto", seed=0).departures
    for text in warning_of(departed):
        logger.warning("%s", text)
    contestants = with_synthetic(files, settings, folder.file(SYNTHETIC))
    job = _Job(settings, folder, contestants, data, progress, measure)
    job.measure()
    rows = rows_of(job.cells)
    _warn(rows)
    report = {
        "machine": machine,
        "epochs": settings.n_epochs,
        "seeds": settings.seeds,
        "batch_size": settings.batch_size,
        "recipe": recipe_record(settings.recipe, departed),
        "threads": settings.threads,
        "data": [d.description(settings) for d in data],
        "backbones": [contestant.description for contestant in contestants],
        "rows": rows,
        "relative_error_increase": error_increases(rows),
        "settings": folder.settings,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _write(folder, report)
    return report


def _write(folder: BenchmarkFolder, report: dict[str, Any]) -> None:
    folder.write_json(REPORT, report)
    folder.write(PAGE, benchmark_page(report).encode())
    folder.write(RESULTS, results_csv(report).encode("utf-8", "backslashreplace"))
    folder.write(TABLE, results_tex(report).encode("utf-8", "backslashreplace"))
    if not can_plot():
        logger.info("no plots: they need matplotlib (pip install 'edgetransfer[report]')")
        return
    for name, content in benchmark_plots(report).items():
        folder.write(name, content)


def _open_data(settings: BenchmarkSettings, index: int) -> DataSet:
    path = settings.data[index]
    training = settings.training("", path, "auto", seed=0)
    splits, held_out = load_splits(training), 0.0
    if not tested_on(splits) and not settings.is_all_synthetic:
        held_out = HELD_OUT
        splits = load_splits(settings.training("", path, "auto", seed=0, val_fraction=held_out))
        logger.info("%s: no test split; a fifth of each class is held out to test on", path)
    names = [p.resolve().name for p in settings.data]
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


def _warn(rows: Sequence[dict[str, Any]]) -> None:
    busy = max((row["other_load"] for row in rows if row["reason"] is None), default=0.0)
    if busy > BUSY:
        logger.warning(
            "other processes took up to %.0f %% of the processor while epochs were timed: close "
            "them and measure again, or give --retakes 3",
            100 * busy,
        )
    skipped = max((row["skipped"] for row in rows if row["reason"] is None), default=0)
    if skipped:
        logger.warning("%d images of a data set could not be used", skipped)


@dataclass(frozen=True, kw_only=True)
class _Turn:
    cell: Cell
    data: DataSet
    round: Round
    key: str
    key_before: str | None


class _Job:
    """One benchmark, with everything opened."""

    def __init__(
        self,
        settings: BenchmarkSettings,
        folder: BenchmarkFolder,
        contestants: Sequence[Contestant],
        data: Sequence[DataSet],
        progress: Progress,
        measure: Measure,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.data = data
        self.progress = progress
        self._measure = measure
        self._took: dict[int, list[float]] = {}
        self.cells = [
            Cell(contestant=contestant, engine=engine, data=d.name, metric=d.metric.name)
            for d in data
            for contestant in contestants
            for engine in settings.engines
        ]

    def measure(self) -> None:
        """Take every turn that has no record yet: A B C, A B C, and so on."""
        turns = list(self._turns())
        for number, turn in enumerate(turns, 1):
            record = self.folder.record(turn.key)
            if record is None and turn.cell.reason is None:
                record = self._take(turn, f"turn {number}/{len(turns)}", turns[number:])
            if record is not None:
                turn.cell.records[turn.round] = record

    def _turns(self) -> Iterator[_Turn]:
        for index, data in enumerate(self.data):
            cells = [(i, cell) for i, cell in enumerate(self.cells) if cell.data == data.name]
            for seed in range(self.settings.seeds):
                for epoch in range(self.settings.n_epochs):
                    for position, cell in cells:
                        key = f"{index}-{position}-seed{seed}-epoch"
                        yield _Turn(
                            cell=cell,
                            data=data,
                            round=(seed, epoch),
                            key=f"{key}{epoch}",
                            key_before=f"{key}{epoch - 1}" if epoch else None,
                        )

    def _take(self, turn: _Turn, label: str, later: Sequence[_Turn]) -> dict[str, Any] | None:
        cell, (seed, epoch) = turn.cell, turn.round
        name = cell.contestant.name
        if len(self.settings.engines) > 1:
            name += f" in {cell.engine}"
        start = monotonic()
        try:
            record = self._quietest(
                self._request(turn),
                lambda stage, done, total: self.progress(f"{label} {name}: {stage}", done, total),
            )
        except TurnFailedError as error:
            cell.reason = str(error)
            logger.warning("%s: %s", name, error)
            return None
        record["at"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.folder.add_record(turn.key, record)
        if turn.key_before is not None:
            self.folder.head(turn.key_before).unlink(missing_ok=True)
        if epoch + 1 == self.settings.n_epochs:
            self.folder.head(turn.key).unlink(missing_ok=True)
        self._took.setdefault(id(cell), []).append(monotonic() - start)
        logger.info(
            "%s: %s on %s, seed %d, epoch %d: %.2f s, %.0f images/s%s",
            *(label, name, cell.data, seed, epoch + 1),
            *(record["seconds"], record["images"] / record["seconds"], self._left(later)),
        )
        return record

    def _quietest(self, request: TurnRequest, progress: Progress) -> dict[str, Any]:
        """The first record that others did not disturb, or the least disturbed of all takes."""
        takes: list[dict[str, Any]] = []
        while not takes or (takes[-1]["other_load"] > BUSY and len(takes) <= self.settings.retakes):
            if takes:
                logger.info("others took %.0f %%: once more", 100 * takes[-1]["other_load"])
            takes.append(self._measure(request, progress))
        return {**min(takes, key=lambda take: take["other_load"]), "takes": len(takes)}

    def _request(self, turn: _Turn) -> TurnRequest:
        settings, contestant, (seed, epoch) = self.settings, turn.cell.contestant, turn.round
        last = epoch + 1 == settings.n_epochs
        return TurnRequest(
            training=settings.training(
                str(contestant.backbone.path),
                turn.data.path,
                turn.cell.engine,
                seed,
                own_card=contestant.is_synthetic,
                val_fraction=turn.data.held_out,
            ),
            epoch=epoch,
            images=settings.images,
            head_before=None if turn.key_before is None else self.folder.head(turn.key_before),
            head_after=self.folder.head(turn.key),
            score=last and not contestant.is_synthetic,
        )

    def _left(self, later: Sequence[_Turn]) -> str:
        """About how long the other turns will take, once each backbone has had one."""
        seconds = 0.0
        for turn in later:
            if turn.cell.reason is not None:
                continue
            took = self._took.get(id(turn.cell))
            if took is None:
                return ""
            seconds += statistics.mean(took)
        return f"; about {seconds / 60:.0f} min left" if seconds > 90 else ""
